use time::OffsetDateTime;

use super::*;

fn audit() -> Audit {
    let mut facts = Facts::new("db<script>|x".to_owned(), OffsetDateTime::UNIX_EPOCH);
    facts.sessions.push(SessionRow {
        pid: 7,
        user: "<b>eve</b>".to_owned(),
        database: "x".to_owned(),
        application: "a|b `c`".to_owned(),
        client: "10.0.0.1:5".to_owned(),
        ssl: Some(false),
        version: None,
    });
    grade(facts, None)
}

#[test]
fn what_was_not_seen_is_never_good() {
    let audit = grade(Facts::new("db".to_owned(), OffsetDateTime::UNIX_EPOCH), Some(&[]));
    assert_eq!((audit.verdict, audit.findings.len()), (Verdict::Undetermined, 0));
}

#[test]
fn a_plaintext_session_breaks_the_promise() {
    let audit = audit();
    assert_eq!(audit.verdict, Verdict::Broken);
    assert_eq!(audit.findings[0].id, "plaintext-session");
    assert!(audit.unseen.iter().any(|unseen| unseen.what.contains("clients")));
}

#[test]
fn no_name_leaves_its_place_on_the_page() {
    let page = html(&audit());
    assert!(!page.contains("<script") && !page.contains("<b>eve") && page.contains("&lt;b&gt;eve"));
    assert!(!page.contains("http://") && !page.contains("https://"));
    let text = markdown(&audit());
    assert!(text.contains("\\<b\\>eve") && text.contains("a\\|b \\`c\\`"));
}
