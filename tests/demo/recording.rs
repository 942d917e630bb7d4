//! What `--record` makes.

use super::*;

#[test]
fn a_recording_replays_to_the_same_screens() {
    if Postgres::any().is_none() {
        return;
    }
    let tmp = temporary(&Account::current());
    let dir = scratch("recording");
    let cast = dir.join("lesson.cast");
    pgtls(["demo", "--auto", "1", "--scene", "plaintext", "--record"])
        .arg(&cast)
        .env("TMPDIR", &tmp)
        .run()
        .expect_status(0);
    // The format's description: a header, then [time, code, data] on lines of their own.
    let text = fs::read_to_string(&cast).unwrap();
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&2.into(), &100.into(), &30.into())
    );
    let cells = |count| std::num::NonZero::new(count).unwrap();
    let mut screen = vt100::Parser::new(cells(30), cells(100), 0);
    let (mut before, mut shown) = (0.0, Vec::new());
    for event in lines {
        let [time, code, data] = event.as_array().unwrap().as_slice() else {
            panic!("{event}")
        };
        assert_eq!(code, "o");
        assert!(time.as_f64().unwrap() >= before, "{time} after {before}");
        before = time.as_f64().unwrap();
        screen.process(data.as_str().unwrap().as_bytes());
        shown.push(screen.screen().contents());
    }
    let last = shown.last().unwrap();
    for words in [
        "Without TLS, whoever is on the wire reads along.",
        "4217",
        "SCRAM keeps the password itself",
        "1 of 8",
    ] {
        assert!(last.contains(words), "{words}: {last}");
    }
    assert!(shown.iter().any(|screen| screen.contains("Setting the stage")));
    // The same frames as a picture that any browser shows.
    let svg = cast.with_extension("svg");
    let script = "import sys, xml.dom.minidom as d; print(d.parse(sys.argv[1]).documentElement.tagName)";
    let parsed = Job::new("python3")
        .args(["-c", script])
        .arg(&svg)
        .run()
        .expect_ok("python3");
    assert_eq!(parsed.stdout.trim(), "svg");
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(
        picture.contains(">4217<") || picture.contains("4217</text>"),
        "the answer is in it"
    );
    nothing_is_left(&tmp, &[]);
}

/// What README shows was recorded by the program, from the scenes as they are today.
#[test]
fn the_picture_of_the_readme_is_current() {
    let picture = include_str!("../../assets/demo.svg");
    assert!(picture.len() < 200_000, "{} bytes", picture.len());
    let texts: toml::Table = include_str!("../../assets/demo.toml").parse().unwrap();
    for scene in texts["scene"].as_array().unwrap() {
        let id = scene["id"].as_str().unwrap();
        if ["plaintext", "require", "verify-full"].contains(&id) {
            for text in ["says", "title"] {
                let words = scene[text].as_str().unwrap();
                assert!(
                    picture.contains(words),
                    "{id}: {words}: record it anew, see README"
                );
            }
        }
    }
    assert!(include_str!("../../README.md").contains("assets/demo.svg"));
}
