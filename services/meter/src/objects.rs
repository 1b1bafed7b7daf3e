//! Directories and object stores, by address.

use std::sync::Arc;

use object_store::{ObjectStore, path::Path};

/// What lies at `file:///...`, or with the feature `s3` at `s3://bucket/prefix`, whose credentials are read from the
/// environment (`AWS_*`).
///
/// # Errors
/// For people: which address cannot be used, and why.
pub(crate) fn open(address: &str) -> Result<(Arc<dyn ObjectStore>, Path), String> {
    let bad = |error: &dyn std::fmt::Display| format!("{address}: {error}");
    let url: url::Url = address.parse().map_err(|error| bad(&error))?;
    let environment = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let aws = environment.filter(|(name, _)| name.starts_with("aws_"));
    let (objects, prefix) = object_store::parse_url_opts(&url, aws).map_err(|error| bad(&error))?;
    Ok((objects.into(), prefix))
}
