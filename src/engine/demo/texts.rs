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
}

/// The texts of a scene.
#[must_use]
pub fn text(scene: Scene) -> &'static Text {
    #[derive(Default, Deserialize)]
    struct All {
        scene: Vec<Text>,
    }
    static ALL: OnceLock<All> = OnceLock::new();
    static NONE: OnceLock<Text> = OnceLock::new();
    // A test reads the file: it cannot be malformed in a released program.
    let all =
        ALL.get_or_init(|| toml::from_str(include_str!("../../../assets/demo.toml")).unwrap_or_default());
    all.scene
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
            assert!(text.means.len() <= 120, "{} {}", text.means.len(), text.means);
            assert!(text.big.iter().all(|line| line.len() <= 18), "{:?}", text.big);
            assert_eq!(Scene::named(&text.id), Some(scene));
        }
    }
}
