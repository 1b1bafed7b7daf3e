//! Which packed form of a file a browser takes.

use std::path::{Path, PathBuf};

use axum::http::{HeaderMap, header};

/// A form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    /// Those that the asker takes, the smallest first (RFC 9110, 12.5.3). The plain one is always taken: we have no other
    /// answer.
    pub(super) fn accepted(headers: &HeaderMap) -> Vec<Self> {
        let lines = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|line| line.to_str().ok());
        let codings: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let accepts = |code: &str| {
            let rank = |name: &str| {
                codings.iter().find_map(|coding| {
                    let (found, parameters) = coding.split_once(';').unwrap_or((coding, ""));
                    found.trim().eq_ignore_ascii_case(name).then(|| is_wanted(parameters))
                })
            };
            rank(code).or_else(|| rank("*")).unwrap_or(false)
        };
        let packed = [Self::Brotli, Self::Gzip].into_iter();
        packed.filter(|encoding| encoding.code().is_some_and(accepts)).chain([Self::Identity]).collect()
    }

    /// Its name in headers.
    pub(super) const fn code(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// Where this form of a file lies.
    pub(super) fn path(self, file: &Path) -> PathBuf {
        let extension = match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Identity => "",
        };
        let mut name = file.as_os_str().to_owned();
        name.push(extension);
        name.into()
    }
}

/// `q=0` means never.
fn is_wanted(parameters: &str) -> bool {
    let quality = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("q=")).next();
    quality.is_none_or(|quality| quality.trim().parse::<f32>().is_ok_and(|quality| quality > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_form_that_is_taken_comes_first() {
        let accepted = |line: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, line.parse().unwrap())]);
            Encoding::accepted(&headers).into_iter().filter_map(Encoding::code).collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            ("gzip, deflate, br, zstd", "br gzip"),
            ("GZIP;q=0.5", "gzip"),
            ("br;q=0, gzip", "gzip"),
            ("*", "br gzip"),
            ("*;q=0", ""),
            ("identity", ""),
        ] {
            assert_eq!(accepted(line), expected, "{line}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), [Encoding::Identity]);
    }
}
