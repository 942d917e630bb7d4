//! From stage to stage: what is kept stays, and whatever ends the wizard takes back what was not.

use std::time::Duration;

use crate::site::{self, EVERYBODY, MINUTE, SHORT, SLOW, Site, try_it, until};
use crate::support::{Account, Job, Postgres, Pty, pgtls, wait_for};

#[test]
fn what_is_kept_stays_and_what_is_not_goes_back() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let before = site.rules();
    assert!(site.lets_in("sslmode=disable") && !site.lets_in("sslmode=require"));
    let mut pty = site.wizard(&site.server.socket());
    pty.expect("TLS is off");
    try_it(&mut pty, "on", MINUTE);
    // Enter alone keeps nothing.
    pty.send("\r");
    pty.expect("k keeps it, Esc goes back now.");
    pty.send("k");
    pty.expect("Kept: TLS is offered, not required");
    assert!(site.verified() && site.lets_in("sslmode=disable"));

    // Nobody keeps it: the watchdog goes back, and the screen says so.
    pty.send("\r");
    try_it(&mut pty, "require", SHORT);
    assert!(!site.lets_in("sslmode=disable") && site.verified());
    pty.expect("Nobody kept it in time");
    site.plaintext_is(true, "plaintext is let in again");
    assert_eq!(site.rules(), before);

    // Esc goes back at once.
    pty.send("\r");
    try_it(&mut pty, "require", MINUTE);
    assert!(!site.lets_in("sslmode=disable"));
    pty.send("\x1b");
    pty.expect("Taken back, as you said");
    site.plaintext_is(true, "plaintext is let in again");

    // Kept, and undone by the command that the screen names.
    pty.send("\r");
    try_it(&mut pty, "require", MINUTE);
    pty.send("k");
    pty.expect("Kept: nobody comes in without TLS");
    pty.expect("pgtls undo");
    pty.expect("--stage require --confirm-within 60");
    assert!(!site.lets_in("sslmode=disable") && site.verified());
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    pgtls(["undo", "--dir"]).arg(&site.kit).run().expect_status(0);
    site.plaintext_is(true, "plaintext is let in again");
    assert_eq!(site.rules(), before);
}

#[test]
fn whatever_ends_the_wizard_takes_back_what_was_not_kept() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let before = site.rules();
    let mut pty = site.wizard(&site.server.socket());
    try_it(&mut pty, "on", MINUTE);
    pty.send("k");
    pty.expect("Kept:");
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    // Each is gone long before the minute is over; what cannot be caught is left to the watchdog.
    for (how, within) in [("HUP", MINUTE), ("TERM", MINUTE), ("KILL", SHORT)] {
        let mut pty = site.wizard(&site.server.socket());
        try_it(&mut pty, "require", within);
        assert!(!site.lets_in("sslmode=disable"), "{how}");
        let begun = std::time::Instant::now();
        Job::new("kill")
            .arg(format!("-{how}"))
            .arg(pty.pid().to_string())
            .run()
            .expect_ok("kill");
        site.plaintext_is(true, how);
        assert!(
            begun.elapsed() < Duration::from_secs(50),
            "{how}: {:?}",
            begun.elapsed()
        );
        assert_eq!(site.rules(), before, "{how}");
    }
    // Broken off as soon as it has begun.
    let mut pty = site.wizard(&site.server.socket());
    pty.expect("▸ ○ require");
    pty.send("\r");
    pty.expect("Goes back unless kept within");
    pty.send("\r\x1b");
    pty.expect("is not in force");
    site.plaintext_is(true, "broken off");
    assert_eq!(site.rules(), before);
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    // And so is one whose terminal is lost as soon as it has begun.
    let mut pty = site.wizard(&site.server.socket());
    pty.expect("▸ ○ require");
    pty.send("\r");
    pty.expect("Goes back unless kept within");
    pty.send("\r");
    Job::new("kill")
        .arg("-HUP")
        .arg(pty.pid().to_string())
        .run()
        .expect_ok("kill");
    pty.wait();
    site.plaintext_is(true, "lost");
    assert_eq!(site.rules(), before);
    // One that a command line has begun is decided over here.
    pgtls([
        "harden",
        &site.server.socket(),
        "--stage",
        "require",
        "--confirm-within",
        "300",
        "--yes",
        "--dir",
    ])
    .arg(&site.kit)
    .run()
    .expect_status(0);
    assert!(!site.lets_in("sslmode=disable"));
    let mut pty = site.wizard(&site.server.socket());
    pty.expect("Keep it?");
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    assert!(
        !site.lets_in("sslmode=disable"),
        "leaving does not decide for others"
    );
    let mut pty = site.wizard(&site.server.socket());
    pty.expect("Keep it?");
    pty.send("\x1b");
    pty.expect("Taken back, as you said");
    site.plaintext_is(true, "decided over");
    assert_eq!(site.rules(), before);
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    // By the terminal's own end, and asked first by the wizard itself.
    let mut pty = site.wizard(&site.server.socket());
    try_it(&mut pty, "require", MINUTE);
    pty.send("q");
    pty.expect("is not kept yet");
    pty.send("\x1b[C\r");
    assert_eq!(pty.wait(), 0);
    site.plaintext_is(true, "left");
    assert_eq!(site.rules(), before);
}

/// Somebody who was seen is not turned away unasked; and a password is asked for, not shown and not kept.
#[test]
fn a_lockout_is_accepted_first_and_a_password_stays_unseen() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let app = format!(
        "host=127.0.0.1 port={} user=app password=pw dbname=postgres sslmode=disable application_name=shop",
        site.server.port
    );
    let shop = Job::new("psql")
        .args(["-X", "-c", "select pg_sleep(300)"])
        .arg(&app)
        .start();
    wait_for("the shop is there", SLOW, || {
        let count = "select count(*) from pg_stat_activity where application_name = 'shop'";
        site.server.sql(count).stdout.contains('1').then_some(())
    });
    let admin = format!(
        "host=localhost port={} user=postgres dbname=postgres",
        site.server.port
    );
    let mut pty = site.wizard(&admin);
    pty.expect("wants the password of postgres");
    pty.send("wrong\r");
    pty.expect("password authentication failed");
    pty.send("r");
    pty.expect("wants the password of postgres");
    pty.send("unspoken\r");
    pty.expect("1 session of app on postgres from 127.0.0.1 (shop)");
    try_it(&mut pty, "on", MINUTE);
    pty.send("k");
    pty.expect("Kept:");
    pty.send("\r");

    // Who comes in is shown while it is watched, which Esc ends.
    pty.expect("▸ ○ watch");
    pty.send("\r");
    pty.expect("◐ Watching");
    pty.expect("1 session of app on postgres from 127.0.0.1 (shop)");
    pty.send("\x1b");
    pty.expect("✓ Watched");
    pty.expect("would refuse 1");
    pty.send("j\r");
    pty.expect("it came without TLS");
    pty.send("\r");
    pty.expect("Somebody would be turned away");
    assert!(site.lets_in("sslmode=disable"));
    pty.send("a");
    pty.expect("[x]");
    pty.send("\r");
    pty.expect("Keep it?");
    assert!(!site.lets_in("sslmode=disable") && site.verified());
    pty.send("k");
    pty.expect("--accept-lockout");
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    let shown = String::from_utf8_lossy(&pty.bytes()).into_owned();
    assert!(!shown.contains("unspoken"), "the password was shown");
    let kept = Job::new("grep")
        .args(["-rl", "unspoken"])
        .arg(&site.kit)
        .arg(Account::current().home())
        .run();
    assert_eq!(kept.stdout, "", "the password was kept");
    // The session that was there is there still: what is open is not touched.
    let count = "select count(*) from pg_stat_activity where application_name = 'shop'";
    assert!(site.server.sql(count).stdout.contains('1'));
    site.server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'");
    shop.finish();
}

/// The same line by line, for whoever cannot see the screen: a password typed unseen, a stage kept, and one undone.
#[test]
fn line_by_line_it_is_the_same() {
    let Some(postgres) = Postgres::find(13) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let mut pty = Pty::pgtls(&["--accessible"], &site.kit, (200, 400), &[]);
    let mut answer = |prompt: &str, line: &str| site::answer(&mut pty, prompt, line);
    answer("A number, or Enter for", "harden");
    let admin = format!(
        "host=localhost port={} user=postgres dbname=postgres",
        site.server.port
    );
    answer("Log in by.", &admin);
    for prompt in ["Its files are in.", "Books kept in.", "Clients dial."] {
        answer(prompt, "");
    }
    answer("A number, or Enter for 1, A new CA", "");
    answer("A number, or Enter for 1, P-256", "");
    answer("Valid for days.", "");
    answer("The CA for days.", "");
    answer("Password, or Enter for none", "unspoken");
    answer("A number, or Enter for 1, on", "");
    answer("Enter tries it", "1");
    answer("Enter tries it", "");
    answer("\"keep\" keeps it", "keep");
    until("it is kept", || site.verified());
    assert!(site.lets_in("sslmode=disable"));
    // Whoever is in without TLS at the next look would have to be found first: our own look must be over.
    until("nobody is in", || {
        let who = "select count(*) from pg_stat_activity where usename = 'app'";
        site.server.sql(who).stdout.trim() == "0"
    });
    answer("Enter goes to the stages", "");
    answer("A number, or Enter for 3, require", "require");
    answer("Enter tries it", "");
    answer("\"keep\" keeps it", "undo");
    answer("Enter goes to the stages", "quit");
    assert_eq!(pty.wait(), 0);
    site.plaintext_is(true, "plaintext is let in again");
    let said = pty.text();
    for words in [
        "TLS is off.",
        "1. on: TLS is offered, not required. This comes next.",
        "Holds: Must be refused, plaintext-refused",
        "Kept: TLS is offered, not required.",
        "require is not in force.",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    assert!(!pty.bytes().contains(&0x1b), "something was drawn");
    assert!(!said.contains("unspoken"), "the password was shown");
}
