//! What reads records, documents, tokens and parameters, given what nobody should have written.

mod dead_letters;
#[allow(dead_code)] // The examples of every message, which the contracts are held still by.
#[path = "../../../../schemas/tests/it/examples.rs"]
mod examples;
mod parameters;
mod price_books;
mod records;
mod state;
mod tokens;
mod usage;
mod world;
