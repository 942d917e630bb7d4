//! The room `dial`.
