//! What screens are made of. A widget knows nothing of steps; what it drew, and what a click there means, it tells
//! the [`Canvas`].

mod canvas;
mod diagram;
mod footer;
mod page;
mod popup;
mod questions;
mod rail;
mod sslmodes;
mod text;

pub use canvas::{Canvas, Hit};
pub use diagram::diagram;
pub use footer::footer;
pub use page::{Page, Row};
pub use popup::{buttons, first_button, popup, popup_end};
pub use questions::questions;
pub use rail::rail;
pub use sslmodes::sslmodes;
pub use text::{brief, brief_clock, clip, pad, visible, width, wrap};
