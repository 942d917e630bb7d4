//! The wizard without a terminal: storyboards (scripts of events with named screenshots inside), and random events.

mod harden;
mod lesson;
mod random;
mod screens;
mod stage;
mod story;
