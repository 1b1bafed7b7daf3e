//! Sections of documents that are made from the code. For tests: what is written down must not drift from what runs.

use std::path::Path;

/// Compares the section `name` of a document with what it must be, or writes it where the variable `update` is set. It
/// stands between `<!-- name: generated -->` and `<!-- end of name -->`.
///
/// # Errors
/// That it drifted, or that the document cannot be read.
pub fn keep(document: &Path, name: &str, expected: &str, update: &str) -> Result<(), String> {
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- end of {name} -->"));
    let text = std::fs::read_to_string(document).map_err(|error| format!("{}: {error}", document.display()))?;
    let bounds = text
        .split_once(&begin)
        .and_then(|(before, rest)| rest.split_once(&end).map(|(found, after)| (before, found, after)));
    let Some((before, found, after)) = bounds else {
        return Err(format!("{} has no section {name}", document.display()));
    };
    if found == expected {
        return Ok(());
    }
    if std::env::var_os(update).is_none() {
        return Err(format!(
            "{} drifted in section {name}: set {update}=1; it must be\n{expected}",
            document.display()
        ));
    }
    std::fs::write(document, format!("{before}{begin}{expected}{end}{after}")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drifted_section_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.md");
        std::fs::write(&path, "# Metrics\n<!-- a: generated -->\nold\n<!-- end of a -->\nrest\n").unwrap();
        let never = "UPDATE_WHAT_NOBODY_SETS";
        keep(&path, "a", "old\n", never).unwrap();
        assert!(keep(&path, "b", "old\n", never).unwrap_err().contains("no section b"));
        assert!(keep(&path, "a", "new\n", never).unwrap_err().contains("drifted in section a"));
        // `PATH` is set wherever this runs.
        keep(&path, "a", "new\n", "PATH").unwrap();
        keep(&path, "a", "new\n", never).unwrap();
    }
}
