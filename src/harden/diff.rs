//! A unified diff of two files whose lines mostly stand where they stood. Safe to show: escaped and bounded.

use std::fmt::Write;

/// Lines around a change.
const CONTEXT: usize = 3;
/// How far apart lines may have moved; changes by whole lines are few and near each other.
const REACH: usize = 64;
/// Changed lines that are shown.
const MOST: usize = 2000;

/// The difference, without a head; empty where there is none. It takes time in proportion to the lines, however many of
/// them change.
#[must_use]
pub fn unified(old: &[u8], new: &[u8]) -> String {
    let (old, new) = (lines(old), lines(new));
    show(&old, &new, &script(&old, &new))
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// One step from the old to the new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Same(usize, usize),
    Less(usize),
    More(usize),
}

fn script(old: &[&[u8]], new: &[&[u8]]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(old.len().max(new.len()));
    let (mut at, mut to) = (0, 0);
    let mut reach = REACH;
    let mut run = steps.len();
    while at < old.len() || to < new.len() {
        if at < old.len() && to < new.len() && old[at] == new[to] {
            in_order(&mut steps[run..]);
            steps.push(Step::Same(at, to));
            run = steps.len();
            (at, to, reach) = (at + 1, to + 1, REACH);
            continue;
        }
        // The nearest place where both agree again.
        let found = (0..=reach)
            .flat_map(|sum| (0..=sum).map(move |less| (less, sum - less)))
            .find(|(less, more)| agree(old, new, at + less, to + more));
        if found.is_none() {
            // Among lines that all change there is no use in looking far, again and again.
            reach = 4;
        }
        let (less, more) = found.unwrap_or((1, 1));
        let (gone, come) = ((at + less).min(old.len()), (to + more).min(new.len()));
        steps.extend((at..gone).map(Step::Less));
        steps.extend((to..come).map(Step::More));
        (at, to) = (gone, come);
    }
    in_order(&mut steps[run..]);
    steps
}

/// What goes before what comes.
fn in_order(run: &mut [Step]) {
    run.sort_by_key(|step| matches!(step, Step::More(_)));
}

fn agree(old: &[&[u8]], new: &[&[u8]], at: usize, to: usize) -> bool {
    match (old.get(at), new.get(to)) {
        (Some(old), Some(new)) => old == new,
        (None, None) => at == old.len() && to == new.len(),
        _ => false,
    }
}

fn show(old: &[&[u8]], new: &[&[u8]], steps: &[Step]) -> String {
    let mut out = String::new();
    let mut shown = 0;
    let mut at = 0;
    while let Some(first) = steps[at..]
        .iter()
        .position(|step| !matches!(step, Step::Same(..)))
    {
        let first = at + first;
        // A hunk ends where more lines than twice the context are the same.
        let mut last = first;
        for (index, step) in steps.iter().enumerate().skip(first) {
            if !matches!(step, Step::Same(..)) {
                last = index;
            } else if index - last > 2 * CONTEXT {
                break;
            }
        }
        let hunk = &steps[first.saturating_sub(CONTEXT).max(at)..(last + 1 + CONTEXT).min(steps.len())];
        header(&mut out, hunk);
        for step in hunk {
            let (sign, line) = match step {
                Step::Same(at, _) => (' ', old[*at]),
                Step::Less(at) => ('-', old[*at]),
                Step::More(to) => ('+', new[*to]),
            };
            shown += usize::from(sign != ' ');
            if shown > MOST {
                let rest = steps
                    .iter()
                    .filter(|step| !matches!(step, Step::Same(..)))
                    .count();
                let _ = writeln!(out, "… {rest} changed lines in all");
                return out;
            }
            let ended = line.strip_suffix(b"\n");
            let _ = writeln!(out, "{sign}{}", crate::apply::shown_line(ended.unwrap_or(line)));
            if ended.is_none() {
                out.push_str("\\ No newline at end of file\n");
            }
        }
        at = (last + 1 + CONTEXT).min(steps.len());
    }
    out
}

fn header(out: &mut String, hunk: &[Step]) {
    let olds = hunk.iter().filter_map(|step| match step {
        Step::Same(at, _) | Step::Less(at) => Some(*at),
        Step::More(_) => None,
    });
    let news = hunk.iter().filter_map(|step| match step {
        Step::Same(_, to) | Step::More(to) => Some(*to),
        Step::Less(_) => None,
    });
    let span = |first: Option<usize>, count: usize| match (first, count) {
        (Some(first), 1) => format!("{}", first + 1),
        (Some(first), count) => format!("{},{count}", first + 1),
        (None, _) => "0,0".to_owned(),
    };
    let _ = writeln!(
        out,
        "@@ -{} +{} @@",
        span(olds.clone().next(), olds.count()),
        span(news.clone().next(), news.count())
    );
}
