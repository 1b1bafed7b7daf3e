//! The reference of settings, made from the structs themselves: their doc comments, types and defaults. For tests:
//! `docs/configuration.md` must not drift, and a default that a doc comment names must be the one that is in force.
//!
//! `UPDATE_CONFIGURATION=1` writes the section anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::ServiceConfig;

const HEAD: &str = "| key | variable | default | unit | secret | meaning |\n|---|---|---|---|---|---|\n";
const FLAGS_HEAD: &str = "| flag | variable | default | meaning |\n|---|---|---|---|\n";

/// The settings of a service as tables: the top level, then each section. `defaults` is what runs without any setting;
/// what differs between machines is put there in words.
///
/// # Errors
/// A setting without a meaning, or whose doc comment names another default than the one in force.
pub fn section<C: ServiceConfig + JsonSchema>(defaults: &C) -> Result<String, String> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<C>().to_value();
    let defaults = serde_json::to_value(defaults).map_err(|error| error.to_string())?;
    let shared: Vec<(&str, &str)> = C::SHARED.iter().flat_map(|shared| shared.variables()).copied().collect();
    let writer = Writer { prefix: format!("TOLLBOOTH_{}__", C::SERVICE.to_uppercase().replace('-', "_")), shared };
    writer.table("", &schema, Some(&defaults))
}

/// The flags of a command and of those below it as tables, the configuration's own left out.
#[must_use]
pub fn flags(command: &Command) -> String {
    let mut text = String::new();
    command_flags(&mut text, command, command.get_name());
    text
}

/// Compares a section of the document with what it must be, or writes it where `UPDATE_CONFIGURATION` is set.
///
/// # Errors
/// That it drifted, or that the document cannot be read.
pub fn keep(document: &Path, name: &str, expected: &str) -> Result<(), String> {
    crate::document::keep(document, name, expected, "UPDATE_CONFIGURATION")
}

struct Writer {
    prefix: String,
    shared: Vec<(&'static str, &'static str)>,
}

impl Writer {
    /// A table of the keys of one struct, then those of the sections in it.
    fn table(&self, path: &str, schema: &Value, defaults: Option<&Value>) -> Result<String, String> {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let (mut rows, mut sections) = (String::new(), String::new());
        for (name, property) in properties {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let default = defaults.and_then(|defaults| defaults.get(name));
            match nested(property) {
                Some(section) => {
                    let heading = format!("\n### `[{key}]`\n{}\n\n", words(property));
                    sections.push_str(&heading);
                    sections.push_str(&self.table(&key, section, default)?);
                }
                None => rows.push_str(&self.row(&key, property, default)?),
            }
        }
        let rows = if rows.is_empty() { String::new() } else { format!("{HEAD}{rows}") };
        Ok(format!("{rows}{sections}"))
    }

    fn row(&self, key: &str, property: &Value, default: Option<&Value>) -> Result<String, String> {
        let own = property.get("default");
        let meaning = words(property);
        if meaning.is_empty() {
            return Err(format!("{key} has no meaning"));
        }
        // The default of a secret is told by its meaning alone.
        let is_secret = is_secret(property);
        let meaning = if is_secret { meaning } else { without_default(key, &meaning, own.or(default))? };
        let choices = choices(property);
        let default = default.or(own).filter(|value| !value.is_null()).map_or_else(|| "none".to_owned(), shown);
        let default = if default == "`[hidden]`" { "see there" } else { &default };
        let secret = if is_secret { "yes" } else { "" };
        Ok(format!(
            "| `{key}` | {} | {default} | {} | {secret} | {} |\n",
            self.variables(key),
            unit(key),
            cell(&format!("{meaning}{choices}"))
        ))
    }

    fn variables(&self, key: &str) -> String {
        let own = format!("`{}{}`", self.prefix, key.to_uppercase().replace('.', "__"));
        let shared = self.shared.iter().filter(|(_, filled)| *filled == key);
        shared.fold(own, |text, (variable, _)| format!("{text}, `{variable}`"))
    }
}

/// The schema of a struct within a property; `None` for a plain value or a map of texts.
fn nested(property: &Value) -> Option<&Value> {
    let alternatives = property.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(property).chain(alternatives).find(|schema| schema.get("properties").is_some())
}

fn is_secret(property: &Value) -> bool {
    let is_marked = |schema: &Value| schema.get("writeOnly") == Some(&Value::Bool(true));
    is_marked(property) || property.get("items").is_some_and(is_marked)
}

/// What a doc comment says, in one line.
fn words(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The values that a setting may have, where they are words.
fn choices(property: &Value) -> String {
    let listed = property.get("oneOf").and_then(Value::as_array).into_iter().flatten().filter_map(|choice| {
        let word = choice.get("const").and_then(Value::as_str)?;
        Some(format!(" `{word}`: {}", words(choice)))
    });
    listed.collect()
}

/// The unit, which is a word of the name.
fn unit(key: &str) -> &'static str {
    const UNITS: [(&str, &str); 9] = [
        ("ms", "ms"),
        ("s", "s"),
        ("seconds", "s"),
        ("minutes", "minutes"),
        ("days", "days"),
        ("bytes", "bytes"),
        ("kbytes", "KiB"),
        ("mib", "MiB"),
        ("rows", "rows"),
    ];
    let name = key.rsplit('.').next().unwrap_or(key);
    let found = name.rsplit('_').find_map(|word| UNITS.iter().find(|(known, _)| *known == word));
    found.map_or("", |(_, unit)| *unit)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", if text.is_empty() { "\"\"" } else { text }),
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        other => format!("`{other}`"),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The meaning without the sentence that names the default, which has a column of its own.
fn without_default(key: &str, meaning: &str, default: Option<&Value>) -> Result<String, String> {
    const WORD: &str = "Default ";
    let Some(at) = meaning.find(WORD) else { return Ok(meaning.to_owned()) };
    let rest = &meaning[at + WORD.len()..];
    let Some((named, length)) = named_default(rest) else { return Ok(meaning.to_owned()) };
    if default.is_none_or(|default| !is_same(key, &named, default)) {
        return Err(format!("{key}: its doc comment says {named:?}, in force is {default:?}"));
    }
    // Only a sentence of its own goes; what explains the default stays.
    let Some(after) = rest[length..].strip_prefix('.').filter(|after| after.is_empty() || after.starts_with(' '))
    else {
        return Ok(meaning.to_owned());
    };
    Ok(format!("{}{after}", meaning[..at].trim_end()).trim().to_owned())
}

#[derive(Debug, PartialEq, Eq)]
enum Named {
    Number(u128),
    Text(String),
}

/// The default at the begin of a text, as number or as text, and how many bytes it takes.
fn named_default(rest: &str) -> Option<(Named, usize)> {
    if let Some(quoted) = rest.strip_prefix('`') {
        let end = quoted.find('`')?;
        return Some((Named::Text(quoted[..end].to_owned()), end + 2));
    }
    for word in ["true", "false"] {
        if rest.starts_with(word) {
            return Some((Named::Text(word.to_owned()), word.len()));
        }
    }
    let is_digit = |c: char| c.is_ascii_digit() || c == ',';
    let end = rest.find(|c: char| !is_digit(c)).unwrap_or(rest.len());
    // A comma behind the number is the sentence's.
    let digits = rest[..end].trim_end_matches(',');
    let mut number: u128 = digits.replace(',', "").parse().ok()?;
    let mut length = digits.len();
    for (word, factor) in [(" KiB", 1 << 10), (" MiB", 1 << 20), (" GiB", 1 << 30), (" million", 1_000_000)] {
        if rest[length..].starts_with(word) {
            number *= factor;
            length += word.len();
            break;
        }
    }
    if rest[length..].starts_with(" (")
        && let Some(close) = rest[length..].find(')')
    {
        length += close + 1;
    }
    Some((Named::Number(number), length))
}

fn is_same(key: &str, named: &Named, default: &Value) -> bool {
    match (named, default) {
        (Named::Text(text), Value::String(value)) => text == value,
        (Named::Text(text), Value::Bool(value)) => text.parse() == Ok(*value),
        (Named::Number(number), Value::Number(value)) => {
            let factor = if unit(key) == "KiB" && *number >= 1 << 20 { 1 << 10 } else { 1 };
            value.as_u64().is_some_and(|value| u128::from(value) * factor == *number)
        }
        (Named::Number(number), Value::String(value)) => *value == number.to_string(),
        _ => false,
    }
}

fn command_flags(text: &mut String, command: &Command, path: &str) {
    const CONFIGURATION: [&str; 5] = ["config", "set", "check_config", "help", "version"];
    let is_own = |arg: &&Arg| !CONFIGURATION.contains(&arg.get_id().as_str()) && !arg.is_hide_set();
    let rows: String = command.get_arguments().filter(is_own).map(flag_row).collect();
    if !rows.is_empty() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        // Writing to a string does not fail.
        write!(text, "\n### `{path}`\n{about}\n\n{FLAGS_HEAD}{rows}").unwrap_or_default();
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        command_flags(text, below, &format!("{path} {}", below.get_name()));
    }
}

fn flag_row(arg: &Arg) -> String {
    let name = arg.get_long().map_or_else(|| arg.get_id().to_string().to_uppercase(), |long| format!("--{long}"));
    let variable = arg.get_env().map(|variable| format!("`{}`", variable.to_string_lossy())).unwrap_or_default();
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into()).collect();
    let default = if defaults.is_empty() || !arg.get_action().takes_values() {
        String::new()
    } else {
        format!("`{}`", defaults.join(","))
    };
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("| `{name}` | {variable} | {default} | {} |\n", cell(&help))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::super::{Secret, Shared};
    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Demo {
        /// The first key. Empty: none.
        admin_key: Secret,
        /// How it listens.
        http: Http,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Http {
        /// How large a body may be; then 413. Default 4 MiB.
        body_bytes_max: usize,
        /// How long
        /// it may take. Default 2,000.
        timeout_ms: u64,
        /// What to do.
        mode: Mode,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        /// Nothing.
        Off,
        /// All | of it.
        On,
    }

    impl Default for Http {
        fn default() -> Self {
            Self { body_bytes_max: 4 << 20, timeout_ms: 2_000, mode: Mode::Off }
        }
    }

    impl Default for Demo {
        fn default() -> Self {
            Self { admin_key: Secret::default(), http: Http { timeout_ms: 3_000, ..Http::default() } }
        }
    }

    impl ServiceConfig for Demo {
        const SERVICE: &'static str = "demo";
        const SHARED: &'static [Shared] = &[Shared::AdminKey];
    }

    #[test]
    fn a_setting_is_described_by_its_own_doc_comment_and_the_default_in_force() {
        let text = section(&Demo::default()).unwrap();
        for row in [
            "| `admin_key` | `TOLLBOOTH_DEMO__ADMIN_KEY`, `TOLLBOOTH_ADMIN_KEY` | `\"\"` |  | yes | The first key. Empty: none. |",
            "### `[http]`\nHow it listens.\n",
            "| `http.body_bytes_max` | `TOLLBOOTH_DEMO__HTTP__BODY_BYTES_MAX` | `4194304` | bytes |  | How large a body may be; then 413. |",
            // The service's own default wins over the section's.
            "| `http.timeout_ms` | `TOLLBOOTH_DEMO__HTTP__TIMEOUT_MS` | `3000` | ms |  | How long it may take. |",
            "| `off` |  |  | What to do. `off`: Nothing. `on`: All \\| of it. |",
        ] {
            assert!(text.contains(row), "{row}\nis not in\n{text}");
        }
    }

    #[test]
    fn a_doc_comment_that_names_another_default_is_found() {
        let value = Value::from(2_000);
        let meaning = "How long. Default 2,500. Then 503.";
        assert!(without_default("a_ms", meaning, Some(&value)).unwrap_err().contains("2500"));
        let right = Value::from(2_500);
        assert_eq!(without_default("a_ms", meaning, Some(&right)).unwrap(), "How long. Then 503.");
        let kept = "Whether. Default false: it costs more than it saves.";
        assert_eq!(without_default("a", kept, Some(&Value::Bool(false))).unwrap(), kept);
        assert!(without_default("a", kept, Some(&Value::Bool(true))).is_err());
        let queue = Value::from(256 * 1024);
        assert_eq!(without_default("queue_kbytes_max", "A. Default 256 MiB.", Some(&queue)).unwrap(), "A.");
    }

    #[test]
    fn flags_are_described_by_their_help() {
        let command = Command::new("demo").subcommand(
            Command::new("run")
                .about("Runs.")
                .arg(Arg::new("rate").long("rate").env("DEMO_RATE").default_value("20").help("A | b.")),
        );
        assert_eq!(
            flags(&command),
            format!("\n### `demo run`\nRuns.\n\n{FLAGS_HEAD}| `--rate` | `DEMO_RATE` | `20` | A \\| b. |\n")
        );
    }
}
