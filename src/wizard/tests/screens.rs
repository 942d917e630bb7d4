//! The screens that people see elsewhere (`assets/screens/`, README.md): made here, by the renderer itself, and never by
//! hand. `PGTLS_SCREENS=write cargo test --lib screens` makes them anew.

use std::path::{Path, PathBuf};

use super::stage::{Stage, landed, preview, report, told};
use crate::wizard::message::Message;
use crate::wizard::steps::STEPS;

const SIZE: (u16, u16) = (100, 26);

/// One screen a step, by the step's name.
fn screens() -> Vec<(&'static str, String)> {
    let mut stage = Stage::new(SIZE);
    let mut screens = Vec::new();
    for step in stage.model.shown_steps().into_iter().map(|at| STEPS[at]) {
        match step.name() {
            "review" => {
                stage.send(Message::Preview(1, Ok(preview())));
                stage.keys("Down Down Down Down Tab Down Down Down Down");
            }
            "write" => {
                for event in told() {
                    stage.send(Message::Told(event));
                }
            }
            "verify" => {
                stage.send(Message::Proven(Ok(report(None))));
                stage.keys("Down Down Down Down Down Down Down Down Down Down");
            }
            _ => {}
        }
        screens.push((step.name(), stage.text()));
        if step.name() == "write" {
            stage.send(Message::Done(Ok(landed())));
        }
        stage.keys("Enter");
    }
    screens.extend(super::harden::screens(SIZE));
    screens
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The text with every block `<!-- screen NAME -->` … `<!-- end -->` as it should be.
fn with_screens(text: &str, screens: &[(&str, String)]) -> String {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- screen ") {
        let (name, after) = after.split_once(" -->").unwrap();
        let (_, after) = after.split_once("<!-- end -->").unwrap();
        let (_, screen) = screens.iter().find(|(known, _)| *known == name).unwrap();
        out.push(format!(
            "{before}<!-- screen {name} -->\n```text\n{screen}```\n<!-- end -->"
        ));
        rest = after;
    }
    out.concat() + rest
}

#[test]
fn the_screens_shown_elsewhere_are_the_real_ones() {
    let write = std::env::var_os("PGTLS_SCREENS").is_some_and(|value| value == "write");
    let screens = screens();
    let readme = root().join("README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let wanted = with_screens(&text, &screens);
    let file = |name: &str| root().join("assets/screens").join(format!("{name}.txt"));
    if write {
        std::fs::create_dir_all(root().join("assets/screens")).unwrap();
        std::fs::write(&readme, &wanted).unwrap();
        for (name, screen) in &screens {
            std::fs::write(file(name), screen).unwrap();
        }
    }
    let again = "PGTLS_SCREENS=write cargo test --lib screens makes it anew";
    assert_eq!(
        std::fs::read_to_string(&readme).unwrap(),
        wanted,
        "README.md: {again}"
    );
    for (name, screen) in &screens {
        let kept = std::fs::read_to_string(file(name)).unwrap_or_default();
        assert_eq!(&kept, screen, "{name}: {again}");
    }
}
