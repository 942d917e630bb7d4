//! The server's certificate comes from a CA elsewhere, over days: the request, the wait, the answer that is checked first.

use std::fs;
use std::path::Path;

use crate::site::{EVERYBODY, MINUTE, Site, answer, try_it};
use crate::support::{Ca, Job, Postgres, Pty, request, scratch};

/// From the first step to the request.
#[track_caller]
fn requested(site: &Site) -> Pty {
    let mut pty = Pty::pgtls(&[], &site.kit, (100, 30), &[]);
    pty.expect("On this machine");
    pty.click("Harden a server");
    pty.expect("▸ Harden a server");
    pty.send("\r");
    pty.expect("Log in by");
    pty.send(&site.server.socket());
    pty.send("\r");
    pty.expect("Who issues the certificates?");
    pty.click("Your CA, elsewhere");
    pty.expect("▸ Your CA, elsewhere");
    pty.send("\r");
    pty.expect("openssl req -in request/server.csr -noout -text");
    pty
}

/// Names the answer and its root, and goes on.
fn answered(pty: &mut Pty, answer: &Path, root: &Path) {
    // Both lines are emptied first.
    for (at, file) in [answer, root].into_iter().enumerate() {
        if at > 0 {
            pty.send("\t");
        }
        pty.send(&format!("\x15{}", file.display()));
    }
    pty.send("\r");
}

#[test]
fn a_ca_elsewhere_answers_over_days_and_what_does_not_fit_is_refused() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let before = site.rules();
    let mut pty = requested(&site);
    let csr = site.kit.join("request/server.csr");
    let shown = Job::new("openssl")
        .args(["req", "-in", "request/server.csr", "-noout", "-text"])
        .dir(&site.kit)
        .run()
        .expect_ok("the command that is shown");
    assert!(shown.stdout.contains("DNS:localhost"), "{}", shown.stdout);
    let first = fs::read(&csr).unwrap();
    pty.send("\r");
    pty.expect("Name both files once your CA has answered");
    pty.send("\x03");
    assert_eq!(pty.wait(), 0);

    // Days later: the same request, at the same place.
    let company = Ca::new("company");
    let signed = company.sign(&csr);
    let mut pty = Pty::pgtls(&[], &site.kit, (100, 30), &[]);
    pty.expect("For your CA");
    pty.expect("request/server.csr");
    assert!(fs::read(&csr).unwrap() == first, "another request");
    let other_key = company.server(&["localhost"]).cert;
    answered(&mut pty, &other_key, &company.cert);
    pty.expect("it is for another key");
    let stranger = Ca::new("stranger");
    pty.send("\x1b[Z");
    answered(&mut pty, &signed, &stranger.cert);
    pty.expect("✗");
    pty.until("another root", |screen| {
        screen.contains("✗") && !screen.contains("another key") && screen.contains("root")
    });
    assert!(!site.kit.join("request/server.crt").exists());
    pty.send("\x1b[Z");
    answered(&mut pty, &signed, &company.cert);
    pty.expect("▸ ○ on");
    assert_eq!(site.rules(), before);
    try_it(&mut pty, "on", MINUTE);
    pty.send("k");
    pty.expect("Kept:");
    pty.expect("request/server.crt --server-key");
    let full = format!("sslmode=verify-full sslrootcert={}", company.cert.display());
    assert!(site.lets_in(&full));
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}

/// The same line by line: what does not fit is told in its own words and asked again, and nothing is filed until it fits.
#[test]
fn line_by_line_what_does_not_fit_is_told_and_asked_again() {
    let Some(postgres) = Postgres::find(16) else {
        return;
    };
    let site = Site::new(&postgres, EVERYBODY);
    let before = site.rules();
    let talk = || Pty::pgtls(&["--accessible"], &site.kit, (200, 400), &[]);
    let mut pty = talk();
    answer(&mut pty, "A number, or Enter for", "harden");
    answer(&mut pty, "Log in by.", &site.server.socket());
    for prompt in ["Its files are in.", "Books kept in.", "Clients dial."] {
        answer(&mut pty, prompt, "");
    }
    answer(
        &mut pty,
        "A number, or Enter for 1, A new CA",
        "Your CA, elsewhere",
    );
    answer(&mut pty, "A number, or Enter for 1, P-256", "");
    // Nothing is there yet: it is said what to do until then, and one leaves.
    answer(&mut pty, "Its answer. Enter for not there yet:", "");
    answer(&mut pty, "Its root.", "");
    answer(&mut pty, "Its answer. Enter for not there yet:", "quit");
    assert_eq!(pty.wait(), 0);
    let said = pty.text();
    for words in [
        "Request request/server.csr",
        "Look at it openssl req -in request/server.csr -noout -text",
        "Send the request to your CA.",
        "Name both files once your CA has answered",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }

    // Days later it goes on there, and no request is made anew.
    let csr = site.kit.join("request/server.csr");
    let key = site.kit.join("request/server.key");
    let first = fs::read(&csr).unwrap();
    let company = Ca::new("company");
    let below = company.intermediate("below");
    let alone = below.sign(&csr);
    let mut pty = talk();
    let stranger = Ca::new("stranger");
    let refusals = [
        (
            company.server(&["localhost"]).cert,
            &company.cert,
            "it is for another key",
        ),
        (
            company.sign(&request(&key, &["db.example.org"])),
            &company.cert,
            "it lacks names that clients dial: localhost, 127.0.0.1, ::1 (it carries db.example.org)",
        ),
        (company.sign_between(&csr, -30, -2), &company.cert, "expired"),
        (
            alone.clone(),
            &company.cert,
            "put that CA's certificate into the file too",
        ),
        (
            company.sign(&csr),
            &stranger.cert,
            "if it is of another CA, name its root",
        ),
        (
            scratch("none").join("answer.crt"),
            &company.cert,
            "there is no such file",
        ),
    ];
    for (at, (file, root, says)) in refusals.into_iter().enumerate() {
        answer(&mut pty, "Its answer.", &file.display().to_string());
        answer(&mut pty, "Its root.", &root.display().to_string());
        pty.until(says, |screen| {
            screen.matches('✗').count() == at + 1 && screen.trim_end().ends_with(':')
        });
        let told = pty.text();
        let last = told.rsplit("Step ").next().unwrap();
        assert!(last.contains(says), "{says:?} is not in\n{last}");
        assert!(!site.kit.join("request/server.crt").exists(), "{says}");
    }
    // The same answer with the CA between, in any order.
    let whole = scratch("answer").join("chain.pem");
    let chain = [fs::read(&below.cert).unwrap(), fs::read(&alone).unwrap()].concat();
    fs::write(&whole, chain).unwrap();
    answer(&mut pty, "Its answer.", &whole.display().to_string());
    answer(&mut pty, "Its root.", &company.cert.display().to_string());
    answer(&mut pty, "A number, or Enter for 1, on", "");
    answer(&mut pty, "Enter tries it", "");
    answer(&mut pty, "\"keep\" keeps it", "keep");
    answer(&mut pty, "Enter goes to the stages", "quit");
    assert_eq!(pty.wait(), 0);
    assert!(fs::read(&csr).unwrap() == first, "another request");
    let full = format!("sslmode=verify-full sslrootcert={}", company.cert.display());
    assert!(site.lets_in(&full), "psql verifies the company's certificate");
    assert_eq!(site.rules(), before);
    assert!(!pty.bytes().contains(&0x1b), "something was drawn");
}
