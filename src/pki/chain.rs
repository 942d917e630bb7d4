//! Putting certificates in order: from one, by names and signatures, up to its root.

use super::Certificate;

/// The certificates above `first`, nearest first, ending with a self-issued one; empty when `first` is such.
///
/// They are picked from `others` in any order. The error is the last certificate whose issuer is not there.
pub(super) fn up_to_root<'a>(
    first: &'a Certificate,
    others: &'a [Certificate],
) -> Result<Vec<Certificate>, &'a Certificate> {
    let mut above = Vec::new();
    let mut last = first;
    // A chain that names more issuers than there are certificates runs in a circle.
    while !last.is_self_issued() {
        let issuer = others.iter().find(|other| last.is_signed_by(other)).ok_or(last)?;
        if above.len() == others.len() {
            return Err(last);
        }
        above.push(issuer.clone());
        last = issuer;
    }
    Ok(above)
}

/// The certificates above `first` as far as `others` lead, nearest first. Of several certificates of one issuer (a CA that
/// was certified twice) the one that ends last is taken.
pub(super) fn upwards(first: &Certificate, others: &[Certificate]) -> Vec<Certificate> {
    let mut above: Vec<Certificate> = Vec::new();
    while let last = above.last().unwrap_or(first)
        && !last.is_self_issued()
        && above.len() < others.len()
    {
        let issuers = others.iter().filter(|other| last.is_signed_by(other));
        let Some(issuer) = issuers.max_by_key(|issuer| issuer.not_after()) else {
            break;
        };
        above.push(issuer.clone());
    }
    above
}
