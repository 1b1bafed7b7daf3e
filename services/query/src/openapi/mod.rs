//! The API's description: OpenAPI 3.1, made of the handlers and answers themselves, and the page that shows it.
//!
//! Query parameters are documented from the very lists they are parsed by; answers from the types they are written from.
//! Examples stand in `examples.json` by operation, and a test holds each against the schema of its answer.

mod headers;
mod page;
mod parameters;
mod problems;

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::HeaderValue;
use bytes::Bytes;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use tollbooth_schemas::price_book::PriceBook;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(crate) use headers::SentHeaders;
pub use page::{Page, page};
pub(crate) use parameters::{AccountPath, BookPath, EntryPath, EventPath, LetterPath, query_parameters};
pub use problems::{AccountProblems, AdminProblems, ChangeProblems, ProblemBody, PublicProblems};

use crate::conditional;
use crate::routes::description;

const SCHEMAS: &str = "/components/schemas";
const EXAMPLES: &str = include_str!("examples.json");

/// The whole document, as it is served at `/openapi.json` and lies in `services/query/openapi.json`.
pub static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::make);

/// The document in the forms it is needed in.
#[derive(Debug)]
pub struct Document {
    /// Parsed.
    pub value: Value,
    /// Pretty-printed, with a line feed at its end.
    pub text: Bytes,
    /// Tag of the text.
    pub etag: HeaderValue,
}

impl Document {
    fn make() -> Self {
        // Both are values of this program: they serialize and parse, or the document's test fails.
        let mut value = serde_json::to_value(description()).unwrap_or_default();
        let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
        put_price_book(&mut value);
        put_examples(&mut value, &examples);
        let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
        Self { value, etag: conditional::etag(text.as_bytes()), text: Bytes::from(text) }
    }

    /// Every operation: its method, its path and what the document says of it.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, &str, &Value)> {
        operations_of(&self.value)
    }
}

/// The methods that are used, as they stand in a document.
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn operations_of(document: &Value) -> impl Iterator<Item = (&'static str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(|method| Some((method, path.as_str(), item.get(method)?)))
    })
}

/// The price book's schema comes from where its type is: the contracts, which describe themselves with `schemars`.
pub(crate) struct PriceBookSchema;

impl PartialSchema for PriceBookSchema {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::default())
    }
}

impl ToSchema for PriceBookSchema {
    fn name() -> Cow<'static, str> {
        "PriceBook".into()
    }
}

fn put_price_book(document: &mut Value) {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = SCHEMAS.into();
    let mut generator = settings.into_generator();
    generator.subschema_for::<PriceBook>();
    let Some(schemas) = document.pointer_mut(SCHEMAS).and_then(Value::as_object_mut) else { return };
    for (name, schema) in generator.take_definitions(true) {
        schemas.insert(name, schema);
    }
    schemas.sort_keys();
}

/// An operation's example goes to the answer of its success, whatever the media type.
fn put_examples(document: &mut Value, examples: &Map<String, Value>) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let items = paths.filter_map(|(_, item)| item.as_object_mut());
    for operation in items.flat_map(|item| item.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str()))) {
        let (_, operation) = operation;
        let Some(example) = operation["operationId"].as_str().and_then(|id| examples.get(id)).cloned() else {
            continue;
        };
        for success in ["200", "201"] {
            let contents = operation.pointer_mut(&format!("/responses/{success}/content"));
            for content in contents.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
                content["example"] = example.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests;
