//! The files that follow from a setup, in memory: what is in each, its mode, and why each line is there.

mod artifact;

pub use artifact::{Artifact, Content, Line};
