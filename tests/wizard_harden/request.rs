//! The server's certificate comes from a CA elsewhere, over days: the request, the wait, the answer that is checked first.

use std::fs;
use std::path::Path;

use crate::site::{EVERYBODY, MINUTE, Site, try_it};
use crate::support::{Ca, Job, Postgres, Pty};

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
    let request = site.kit.join("request/server.csr");
    let shown = Job::new("openssl")
        .args(["req", "-in", "request/server.csr", "-noout", "-text"])
        .dir(&site.kit)
        .run()
        .expect_ok("the command that is shown");
    assert!(shown.stdout.contains("DNS:localhost"), "{}", shown.stdout);
    let first = fs::read(&request).unwrap();
    pty.send("\r");
    pty.expect("Name both files once your CA has answered");
    pty.send("\x03");
    assert_eq!(pty.wait(), 0);

    // Days later: the same request, at the same place.
    let company = Ca::new("company");
    let signed = company.sign(&request);
    let mut pty = Pty::pgtls(&[], &site.kit, (100, 30), &[]);
    pty.expect("For your CA");
    pty.expect("request/server.csr");
    assert!(fs::read(&request).unwrap() == first, "another request");
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
