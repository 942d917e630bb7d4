//! What the scenes say, from `assets/demo.toml`, where it stands once.

use std::sync::OnceLock;

use serde::Deserialize;

use super::Scene;

/// The texts of a scene.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The scene's name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The sentence over the drawing.
    pub says: String,
    /// What it shows.
    pub shows: String,
    /// What is to be expected.
    pub expected: String,
    /// What follows, once the outcome is there.
    pub means: String,
    /// The same in two short lines, for those who sit far away.
    pub big: [String; 2],
    /// For the presenter.
    pub notes: String,
    /// PostgreSQL's page on it.
    pub source: String,
    /// Why it is not shown on a person's own server; empty where it is.
    #[serde(default)]
    pub not_yours: String,
    /// What `allow` does where plaintext is admitted, and where it is refused; in the scene that shows it.
    #[serde(default)]
    pub allow: [String; 2],
}

/// What is said before the first scene.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intro {
    /// The question.
    pub asks: String,
    /// How it is answered.
    pub how: String,
    /// Who is who.
    pub cast: Vec<[String; 2]>,
    /// What else is to be known.
    pub then: Vec<String>,
}

#[derive(Default, Deserialize)]
struct All {
    intro: Intro,
    scene: Vec<Text>,
}

fn all() -> &'static All {
    static ALL: OnceLock<All> = OnceLock::new();
    // A test reads the file: it cannot be malformed in a released program.
    ALL.get_or_init(|| toml::from_str(include_str!("../../../assets/demo.toml")).unwrap_or_default())
}

/// What is said before the first scene.
#[must_use]
pub fn intro() -> &'static Intro {
    &all().intro
}

/// The texts of a scene.
#[must_use]
pub fn text(scene: Scene) -> &'static Text {
    static NONE: OnceLock<Text> = OnceLock::new();
    all()
        .scene
        .iter()
        .find(|text| text.id == scene.name())
        .unwrap_or_else(|| NONE.get_or_init(Text::default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_has_its_texts() {
        for scene in Scene::ALL {
            let text = text(scene);
            assert_eq!(text.id, scene.name());
            for sentence in [&text.says, &text.means, &text.notes] {
                assert!(sentence.ends_with(['.', '?']), "{sentence}");
            }
            assert!(text.says.len() <= 77, "{}", text.says);
            // Three lines of a small screen at most.
            assert!(text.means.len() <= 170, "{} {}", text.means.len(), text.means);
            assert!(text.big.iter().all(|line| line.len() <= 18), "{:?}", text.big);
            assert_eq!(Scene::named(&text.id), Some(scene));
        }
        assert!(intro().asks.ends_with('?') && intro().cast.len() == 4);
        assert!(text(Scene::Matrix).allow.iter().all(|says| !says.is_empty()));
    }
}
