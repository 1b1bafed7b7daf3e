//! Places for files that outlive a machine: a directory, or a store that speaks S3.

mod http;

use std::{sync::Arc, time::Duration};

use http::Connector;
use object_store::{
    BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path as ObjectPath,
};
use tollbooth_chassis::tls;
use url::Url;

/// How long a request is tried again that the store failed or did not answer.
const RETRY: Duration = Duration::from_secs(30);

/// A place, and what every name in it begins with.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: ObjectPath,
}

/// `url` is no place.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {why}")]
pub struct NoPlace {
    url: String,
    why: String,
}

/// Opens `file:///directory`, which is made where there is none, or `s3://bucket/prefix`. What S3 needs beside the bucket is
/// taken from `variable`s by the names that its other clients know: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
/// `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`, `AWS_CA_BUNDLE` (a PEM file), ...; without a key the machine's role is
/// asked for.
///
/// # Errors
/// Where it is neither, or where no bucket can be made of it.
pub(crate) fn open(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Objects, NoPlace> {
    let bad = |why: &dyn std::fmt::Display| NoPlace { url: text.to_owned(), why: why.to_string() };
    let url: Url = text.parse().map_err(|error| bad(&error))?;
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|error| bad(&error))?;
    let store: Arc<dyn ObjectStore> = match scheme {
        // Synced: what is named by a manifest outlives a loss of power.
        ObjectStoreScheme::Local => Arc::new(LocalFileSystem::new().with_fsync(true)),
        ObjectStoreScheme::AmazonS3 => Arc::new(bucket(&url, variables).map_err(|error| bad(&error))?),
        _ => return Err(bad(&"it must begin with file:/// or s3://")),
    };
    Ok(Objects { store, prefix })
}

fn bucket(
    url: &Url,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<AmazonS3, Box<dyn std::error::Error>> {
    let (mut builder, mut ca_location) = (AmazonS3Builder::new().with_url(url.as_str()), String::new());
    for (name, value) in variables {
        let name = name.to_ascii_lowercase();
        if name == "aws_ca_bundle" {
            ca_location = value;
        } else if name.starts_with("aws_")
            && let Ok(key) = name.parse::<AmazonS3ConfigKey>()
        {
            builder = builder.with_config(key, value);
        }
    }
    let retry = RetryConfig { retry_timeout: RETRY, backoff: BackoffConfig::default(), ..RetryConfig::default() };
    let connector = Connector::new(tls::trusting(&ca_location)?);
    Ok(builder.with_http_connector(connector).with_retry(retry).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_with(url: &str, variables: &[(&str, &str)]) -> Result<Objects, NoPlace> {
        open(url, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_place_is_a_directory_or_a_bucket_and_anything_else_is_told_by_its_name() {
        assert_eq!(open_with("file:///var/lib/x", &[]).unwrap().prefix.as_ref(), "var/lib/x");
        let region = [("AWS_REGION", "eu-central-1"), ("AWS_PROFILE_THAT_NOBODY_KNOWS", "x")];
        assert_eq!(open_with("s3://bucket/a/b", &region).unwrap().prefix.as_ref(), "a/b");
        for url in ["gs://bucket", "nowhere", "http://bucket"] {
            assert!(open_with(url, &[]).unwrap_err().to_string().starts_with(url), "{url}");
        }
        let nowhere = open_with("s3://bucket", &[("AWS_CA_BUNDLE", "/nowhere/ca.pem")]).unwrap_err();
        assert!(nowhere.to_string().contains("/nowhere/ca.pem"), "{nowhere}");
    }
}
