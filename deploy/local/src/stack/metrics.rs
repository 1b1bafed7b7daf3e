//! Reads the Prometheus text format, as far as a status line needs it.

/// The sum of a metric's samples that carry all of `labels`; `None` when there is no such sample.
pub(crate) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (found, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        // The labels asked for have no quotes, commas or escapes in them.
        let has = |(label, value): &(&str, &str)| {
            let wanted = format!("{label}=\"{value}\"");
            found.match_indices(&wanted).any(|(at, _)| at == 0 || found.as_bytes().get(at - 1) == Some(&b','))
        };
        labels.iter().all(has).then(|| value.split(' ').next()?.parse::<f64>().ok())?
    });
    samples.fold(None, |sum, sample| Some(sum.unwrap_or(0.0) + sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP lag Records.\n# TYPE lag gauge\n\
        lag{group=\"meter\",topic=\"usage\"} 3\nlag{group=\"meter\",topic=\"commands\"} 4\n\
        lag{group=\"sink\",topic=\"ledger\"} 7\nlag{subgroup=\"meter\"} 100\nlag_seconds{group=\"meter\"} 9\nplain 1.5\n";

    #[test]
    fn samples_are_summed_by_name_and_label() {
        assert_eq!(sum(TEXT, "lag", &[("group", "meter")]), Some(7.0));
        assert_eq!(sum(TEXT, "lag", &[("group", "sink"), ("topic", "ledger")]), Some(7.0));
        assert_eq!(sum(TEXT, "plain", &[]), Some(1.5));
        assert_eq!(sum(TEXT, "lag", &[("group", "other")]), None);
        assert_eq!(sum(TEXT, "absent", &[]), None);
    }
}
