//! Query parameters, read strictly: an unknown or doubled one is a mistake the caller wants to know about.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use tollbooth_chassis::problem::Problem;

/// Most values of one list.
const VALUES_MAX: usize = 50;
/// Longest value.
const VALUE_CHARS_MAX: usize = 256;

/// A query parameter: its name is what [`Params::parse`] takes, the rest is what the OpenAPI document says of it.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ParameterKind,
    /// What it does.
    pub about: &'static str,
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy)]
pub enum ParameterKind {
    /// A text, such as an id.
    Text,
    /// A whole number, both ends included.
    Number(u64, u64),
    /// One of these.
    Choice(fn() -> Vec<&'static str>),
    /// Texts: the parameter repeated, or separated by commas.
    List,
    /// Of these, as a list.
    ChoiceList(fn() -> Vec<&'static str>),
}

/// A type that stands for these groups of parameters: `GROUPS` is what is parsed, and the OpenAPI document lists it.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident = $($group:expr),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl $name {
            pub(crate) const GROUPS: &'static [&'static [$crate::params::Parameter]] = &[$($group),+];
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                $crate::openapi::query_parameters(Self::GROUPS)
            }
        }
    };
}
pub(crate) use parameters;

/// The parameters of one request.
#[derive(Debug, Default)]
pub struct Params(BTreeMap<String, Vec<String>>);

/// 400 for one parameter.
pub(crate) fn bad_parameter(name: &str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::new("bad_parameter", StatusCode::BAD_REQUEST, "A parameter is not valid")
        .with_detail(format!("{name} {detail}"))
        .with_error(name, detail)
}

impl Params {
    /// Reads the parameters of `uri`; only those of `known` may appear.
    ///
    /// # Errors
    /// 400 `unknown_parameter`, or `bad_parameter` for what is too long or not UTF-8.
    pub fn parse(uri: &Uri, known: &[&[Parameter]]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::malformed("the query string cannot be decoded"))?;
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            if !known.iter().copied().flatten().any(|parameter| parameter.name == name) {
                let shown: String = name.chars().take(64).collect();
                let known: Vec<&str> = known.iter().copied().flatten().map(|parameter| parameter.name).collect();
                return Err(Problem::unknown_parameter(format!("known are: {}", known.join(", ")))
                    .with_error(shown, "is not known"));
            }
            if value.chars().count() > VALUE_CHARS_MAX || value.chars().any(char::is_control) {
                return Err(bad_parameter(&name, format!("must be at most {VALUE_CHARS_MAX} printable characters")));
            }
            values.entry(name).or_default().push(value);
        }
        Ok(Self(values))
    }

    /// A parameter that stands at most once.
    ///
    /// # Errors
    /// 400 where it stands twice or is empty.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.0.get(name).map(Vec::as_slice) {
            None => Ok(None),
            Some([value]) if !value.is_empty() => Ok(Some(value)),
            Some([_]) => Err(bad_parameter(name, "must not be empty")),
            Some(_) => Err(bad_parameter(name, "may stand once")),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// 400 where it is none or outside the range.
    pub fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(bad_parameter(name, format!("must be a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    /// A list: the parameter repeated, or separated by commas. Sorted, each value once.
    ///
    /// # Errors
    /// 400 for an empty value or too many.
    pub fn list(&self, name: &str) -> Result<Vec<String>, Problem> {
        let given = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<String> = given.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect();
        if values.iter().any(String::is_empty) {
            return Err(bad_parameter(name, "must not hold an empty value"));
        }
        if values.len() > VALUES_MAX {
            return Err(bad_parameter(name, format!("may hold {VALUES_MAX} values")));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, Problem> {
        let known = ["a", "limit"].map(|name| Parameter { name, kind: ParameterKind::Text, about: "" });
        Params::parse(&format!("/x?{query}").parse().unwrap(), &[&known])
    }

    #[test]
    fn lists_are_repeated_or_separated_by_commas() {
        assert_eq!(params("a=z,b&a=b&a=c%20d").unwrap().list("a").unwrap(), ["b", "c d", "z"]);
        assert!(params("").unwrap().list("a").unwrap().is_empty());
        assert_eq!(params("a=b,,c").unwrap().list("a").unwrap_err().code(), "bad_parameter");
        let many = (0..51).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert!(params(&format!("a={many}")).unwrap().list("a").is_err());
    }

    #[test]
    fn unknown_doubled_and_oversized_parameters_are_refused() {
        assert_eq!(params("b=1").unwrap_err().code(), "unknown_parameter");
        assert_eq!(params("limit=1&limit=2").unwrap().one("limit").unwrap_err().code(), "bad_parameter");
        assert_eq!(params(&format!("a={}", "x".repeat(300))).unwrap_err().code(), "bad_parameter");
        for bad in ["0", "201", "-1", "1.5", "x"] {
            assert!(params(&format!("limit={bad}")).unwrap().number("limit", 1..=200).is_err(), "{bad}");
        }
        assert_eq!(params("limit=200").unwrap().number("limit", 1..=200).unwrap(), Some(200));
    }
}
