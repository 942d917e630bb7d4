//! Which names clients dial, and who may come in.

use super::super::field::Field;
use super::Step;

/// The step.
#[derive(Debug)]
pub struct Names;

impl Step for Names {
    fn name(&self) -> &'static str {
        "names"
    }

    fn title(&self) -> &'static str {
        "Names and access"
    }

    fn fields(&self) -> &'static [Field] {
        &[
            Field::Host,
            Field::Port,
            Field::Database,
            Field::User,
            Field::PasswordFile,
            Field::Allow,
        ]
    }
}
