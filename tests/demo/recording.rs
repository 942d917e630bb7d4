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
    let text = fs::read_to_string(&cast).unwrap();
    let shown = replay(&text);
    assert!(text.lines().next().unwrap().contains("\"width\":100") && text.contains("\"height\":30"));
    let shown: Vec<_> = shown.into_iter().map(|(_, screen)| screen).collect();
    let last = shown.last().unwrap();
    for words in [
        "disable: no TLS. Whoever is on the wire reads along.",
        "4217",
        "disable protects nothing.",
        "The end.",
        "1 of 8",
    ] {
        assert!(last.contains(words), "{words}: {last}");
    }
    for words in [
        "Setting the stage",
        "The stage is set.",
        "Why is sslmode=require not enough?",
    ] {
        assert!(shown.iter().any(|screen| screen.contains(words)), "{words}");
    }
    assert!(
        !shown
            .iter()
            .any(|screen| screen.contains("Taking the stage down"))
    );
    // The same frames as a picture that any browser shows.
    let svg = cast.with_extension("svg");
    is_svg(&svg);
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(
        picture.contains(">4217<") || picture.contains("4217</text>"),
        "the answer is in it"
    );
    nothing_is_left(&tmp, &[]);
}

/// A terminal whose size changes meanwhile: no frame is lost, and the replay ends with what was on the screen.
#[test]
fn a_recording_follows_the_size_of_the_terminal() {
    if Postgres::any().is_none() {
        return;
    }
    let (tmp, home) = (temporary(&Account::current()), scratch("home"));
    let cast = scratch("recording").join("lesson.cast");
    let mut screen = Pty::pgtls(
        &[
            "demo",
            "--scene",
            "verify-full",
            "--record",
            cast.to_str().unwrap(),
        ],
        &scratch("here"),
        (100, 30),
        &[
            ("TMPDIR", tmp.to_str().unwrap()),
            ("HOME", home.to_str().unwrap()),
        ],
    );
    screen.expect("Enter start");
    screen.send("\r");
    screen.expect("TLS ClientHello");
    screen.resize(120, 40);
    screen.until("it is drawn anew", |shown| {
        shown.lines().count() > 36 && shown.contains("5 of 8")
    });
    play(&mut screen, 5, |_| {});
    shows_words(&screen, "verify-full adds the name.");
    let large = still(&screen);
    screen.resize(80, 24);
    shows_words(&screen, "verify-full adds the name.");
    screen.until("it is drawn anew", |shown| {
        shown.lines().count() < 25 && shown.contains("5 of 8")
    });
    let small = still(&screen);
    screen.send("q");
    assert_eq!(screen.wait(), 0);
    let frames = replay(&fs::read_to_string(&cast).unwrap());
    let sizes: Vec<_> = frames.iter().map(|(size, _)| *size).collect();
    for size in [(100, 30), (120, 40), (80, 24)] {
        assert!(sizes.contains(&size), "{size:?}: {sizes:?}");
    }
    let has = |size, screen: &str| {
        frames
            .iter()
            .any(|(of, shown)| *of == size && without_clock(shown) == screen)
    };
    assert!(has((120, 40), &large), "{large}");
    let (size, last) = frames.last().unwrap();
    assert_eq!(
        (*size, without_clock(last)),
        ((80, 24), small),
        "what is said at the end is not recorded"
    );
    let svg = cast.with_extension("svg");
    is_svg(&svg);
    // As large as the largest, and all of it in it.
    let picture = fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1028\" height=\"740\""));
    nothing_is_left(&tmp, &[]);
}

/// What is on the screen once it changes no more, but for the clock.
fn still(screen: &Pty) -> String {
    let mut before = String::new();
    wait_for("the screen is still", Duration::from_secs(60), || {
        std::thread::sleep(Duration::from_millis(50));
        let now = without_clock(&screen.text());
        if now == before {
            return Some(now);
        }
        before = now;
        None
    })
}

/// A screen without its clock, and without blanks that nobody sees.
fn without_clock(screen: &str) -> String {
    let mut lines: Vec<String> = screen.lines().map(|line| line.trim_end().to_owned()).collect();
    if let Some(first) = lines.first_mut()
        && let Some(at) = first.find(" · ")
    {
        let clock = first[..at].rfind(' ').map_or(0, |blank| blank + 1);
        first.replace_range(clock..at, "");
    }
    lines.join("\n").trim_end().to_owned()
}

/// What a terminal shows after each output of a cast. It must be one by the format's description
/// (<https://docs.asciinema.org/manual/asciicast/v2/>): a header, then `[time, code, data]`, each on a line of its own.
fn replay(cast: &str) -> Vec<((u16, u16), String)> {
    let mut lines = cast
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let header = lines.next().unwrap();
    assert_eq!(header["version"], 2);
    assert!(header["timestamp"].is_u64() && header["title"].is_string());
    assert!(header["env"].as_object().unwrap().values().all(Value::is_string));
    let narrow = |count: u64| u16::try_from(count).unwrap();
    let size = |header: &Value, key| narrow(header[key].as_u64().unwrap());
    let mut size = (size(&header, "width"), size(&header, "height"));
    let cells = |count| std::num::NonZero::new(count).unwrap();
    let mut screen = vt100::Parser::new(cells(size.1), cells(size.0), 0);
    let (mut before, mut shown) = (0.0, Vec::new());
    for event in lines {
        let [time, code, data] = event.as_array().unwrap().as_slice() else {
            panic!("{event}")
        };
        let (time, data) = (time.as_f64().unwrap(), data.as_str().unwrap());
        assert!(time >= before, "{time} after {before}");
        before = time;
        match code.as_str().unwrap() {
            "o" => {
                screen.process(data.as_bytes());
                shown.push((size, screen.screen().contents()));
            }
            "r" => {
                let (columns, rows) = data.split_once('x').unwrap();
                size = (columns.parse().unwrap(), rows.parse().unwrap());
                screen.screen_mut().set_size(cells(size.1), cells(size.0));
            }
            other => panic!("{other}: {event}"),
        }
    }
    shown
}

#[track_caller]
fn is_svg(file: &Path) {
    let script = "import sys, xml.dom.minidom as d; print(d.parse(sys.argv[1]).documentElement.tagName)";
    let parsed = Job::new("python3")
        .args(["-c", script])
        .arg(file)
        .run()
        .expect_ok("python3");
    assert_eq!(parsed.stdout.trim(), "svg");
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
