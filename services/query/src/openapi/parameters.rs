//! Parameters, as the document describes them.

use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::{Required, Schema};

use crate::params::{Parameter, ParameterKind};

/// Groups of query parameters.
pub(crate) fn query_parameters(groups: &[&[Parameter]]) -> Vec<utoipa::openapi::path::Parameter> {
    groups.iter().copied().flatten().map(query_parameter).collect()
}

fn query_parameter(parameter: &Parameter) -> utoipa::openapi::path::Parameter {
    let builder = ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(parameter.about));
    match parameter.kind {
        ParameterKind::Text => builder.schema(schema(json!({"type": "string"}))),
        ParameterKind::Number(min, max) => {
            builder.schema(schema(json!({"type": "integer", "minimum": min, "maximum": max})))
        }
        ParameterKind::Choice(choices) => builder.schema(schema(json!({"type": "string", "enum": choices()}))),
        ParameterKind::List => list(builder, &json!({"type": "string"})),
        ParameterKind::ChoiceList(choices) => list(builder, &json!({"type": "string", "enum": choices()})),
    }
    .build()
}

fn list(builder: ParameterBuilder, items: &Value) -> ParameterBuilder {
    let list = schema(json!({"type": "array", "items": items}));
    builder.schema(list).style(Some(ParameterStyle::Form)).explode(Some(false))
}

/// A schema written as JSON; what is no schema would be an empty one, which the document's test refuses.
fn schema(value: Value) -> Option<Schema> {
    serde_json::from_value(value).ok()
}

fn path_parameter(name: &str, about: &str, pattern: &str) -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(schema(json!({"type": "string", "pattern": pattern})))
        .build()
}

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident: $($parameter:literal, $about:literal, $pattern:literal);+.)*) => {
        $($(#[$doc])*
        pub(crate) struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<utoipa::openapi::path::Parameter> {
                vec![$(path_parameter($parameter, $about, $pattern)),+]
            }
        })*
    };
}

paths! {
    /// Below an account.
    AccountPath: "account_id", "The account.", "^acc_[A-Za-z0-9_-]{1,64}$".
    /// An entry of an account.
    EntryPath:
        "account_id", "The account.", "^acc_[A-Za-z0-9_-]{1,64}$";
        "entry_id", "The entry.", "^ent_acc_[A-Za-z0-9_-]{1,64}_[1-9][0-9]*$".
    /// A dead letter.
    LetterPath: "letter_id", "Its id, as the list shows it.", "^.+-[0-9]+-[0-9]+$".
    /// A price book.
    BookPath: "version", "Its version.", "^[1-9][0-9]*$".
    /// Below an event of an account.
    EventPath:
        "account_id", "The account.", "^acc_[A-Za-z0-9_-]{1,64}$";
        "event_id", "The event, the party a booth is hired for.", "^evt_[A-Za-z0-9_-]{1,64}$".
}
