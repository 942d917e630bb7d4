//! Findings of one kind told together: what they have in common once, then each place.

use super::Finding;

/// Findings of one kind.
#[derive(Debug)]
pub struct Group<'a> {
    /// At least one; title and reason are the same.
    pub findings: Vec<&'a Finding>,
    /// What to do: once for all of them, where it is the same but for the place.
    pub remedies: Vec<String>,
}

impl<'a> Group<'a> {
    /// What all of them have in common.
    #[must_use]
    pub fn first(&self) -> &'a Finding {
        self.findings[0]
    }
}

/// The findings by kind, in the order of the first of each.
#[must_use]
pub fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        match groups.iter_mut().find(|group| group[0].id == finding.id) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
        .into_iter()
        .map(|findings| Group {
            remedies: remedies(&findings),
            findings,
        })
        .collect()
}

fn remedies(findings: &[&Finding]) -> Vec<String> {
    /// More places than these are not named in one sentence.
    const MOST: usize = 6;
    const PLACE: &str = "{what}";
    let template = |finding: &Finding| finding.remedy.replace(&finding.place, PLACE);
    let common = template(findings[0]);
    if findings.iter().any(|finding| template(finding) != common) {
        let mut all: Vec<String> = Vec::new();
        for finding in findings {
            if !all.contains(&finding.remedy) {
                all.push(finding.remedy.clone());
            }
        }
        return all;
    }
    let mut places: Vec<&str> = findings.iter().map(|finding| finding.place.as_str()).collect();
    places.dedup();
    let more = places.len().saturating_sub(MOST);
    let named = places[..places.len().min(MOST)].join(", ");
    let named = if more > 0 {
        format!("{named} and {more} more places")
    } else {
        named
    };
    vec![common.replace(PLACE, &named)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_is_told_once_with_all_its_places() {
        let found = |id, place: &str| Finding::new(id, place).unwrap();
        let all = [
            found("md5-method", "/hba:3"),
            found("ident-method", "/hba:4"),
            found("md5-method", "/hba:9"),
        ];
        let groups = groups(&all);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].findings.len(), 2);
        assert_eq!(groups[0].remedies.len(), 1);
        assert!(
            groups[0].remedies[0].contains("/hba:3, /hba:9"),
            "{:?}",
            groups[0]
        );
        let many: Vec<_> = (1..=9)
            .map(|line| found("md5-method", &format!("/hba:{line}")))
            .collect();
        assert!(
            super::groups(&many)[0].remedies[0].contains("/hba:6 and 3 more places"),
            "{many:?}"
        );
    }

    #[test]
    fn what_is_to_be_done_differently_stays_apart() {
        let found = |who: &str| {
            Finding::new("superuser-from-anywhere", "/hba:3")
                .unwrap()
                .told("{who}", who)
        };
        let all = [found("postgres"), found("dba"), found("dba")];
        assert_eq!(groups(&all)[0].remedies.len(), 2);
    }
}
