//! The contracts, held still: golden files, JSON Schemas, properties.

mod examples;
mod golden;
mod json_schemas;
mod keys;
mod numbers;
mod price_books;
mod price_terms;
