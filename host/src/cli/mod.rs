//! The commands beside `run`.

pub mod check;
pub mod package;
pub mod release;
pub mod state;
mod table;
