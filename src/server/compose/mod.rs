//! PostgreSQL in a container: the `docker` command, run as a program.
//!
//! 1. [`look()`] says what this machine has: an engine, the permission to use it, compose. It is cheap, and
//!    finds out before anything is written what a failed `docker compose up` would only hint at.
//! 2. [`Docker::image`] and [`Docker::pull`] see to the image, [`Compose::stranger`] and [`Compose::volume_version`]
//!    to what an earlier project may have left.
//! 3. [`Compose::start`] brings the service up and waits until the server answers. The [`Running`] it returns stops
//!    it again when dropped, unless [`Running::keep`] is called.
//! 4. [`Compose::reload`], [`Compose::make_roles`] and [`Compose::ask`] work inside the running container.
//! 5. [`Compose::down`] ends it; [`Compose::leave_nothing`] is for what a killed run left, at whatever moment.

mod client;
mod image;
mod inside;
mod leave;
mod look;
mod project;
mod start;
mod volume;

pub use client::Docker;
pub use image::ImageFacts;
pub use inside::Made;
pub use look::{Engine, Look, look};
pub use project::{Compose, Container};
pub use start::Running;
