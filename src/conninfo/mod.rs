//! The room `conninfo`.
