//! How a figure grows with something: measured points, what lies beyond them, and both as text.

use serde::Serialize;

/// Widest bar of a curve, in characters.
const BAR_WIDTH: f64 = 40.0;
/// Of how many measured points, the last ones, the trend is taken.
const TREND_POINTS: usize = 3;
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One point of a curve.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    /// Of the curve.
    pub(crate) id: &'static str,
    pub(crate) x: f64,
    /// What `x` counts.
    pub(crate) x_unit: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// Not measured: the trend of the last measured points, taken on.
    pub(crate) extrapolated: bool,
    pub(crate) conditions: String,
}

/// Takes a curve on to further `xs`, in a straight line on two logarithmic scales (`value` goes with a power of `x`), as
/// its last measured points do. None where there are fewer than two.
pub(crate) fn extrapolated(measured: &[Point], xs: &[f64]) -> Vec<Point> {
    let trend = &measured[measured.len().saturating_sub(TREND_POINTS)..];
    let (Some(last), Some(power)) = (trend.last(), power(trend)) else { return Vec::new() };
    let beyond = xs.iter().filter(|x| **x > last.x);
    let point = |x: &f64| Point {
        x: *x,
        value: last.value * (x / last.x).powf(power),
        extrapolated: true,
        conditions: format!(
            "not measured: goes with the {power:.2}th power of {}, as the last {} points do",
            last.x_unit,
            trend.len()
        ),
        ..last.clone()
    };
    beyond.map(point).collect()
}

/// The exponent of the power law that fits best.
fn power(points: &[Point]) -> Option<f64> {
    if points.len() < 2 || points.iter().any(|point| point.x <= 0.0 || point.value <= 0.0) {
        return None;
    }
    slope(points.iter().map(|point| (point.x.ln(), point.value.ln())))
}

/// The slope of the straight line that fits best: least squares. None where all lie at one `x`.
pub(crate) fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let (mut count, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (x, y) in points.clone() {
        count += 1.0;
        sum_x += x;
        sum_y += y;
    }
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    (below > 0.0).then(|| above / below)
}

/// All curves of these points, a line a point.
pub(crate) fn text(points: &[Point]) -> String {
    let mut ids: Vec<&str> = Vec::new();
    for point in points {
        if !ids.contains(&point.id) {
            ids.push(point.id);
        }
    }
    let mut text = String::new();
    for id in ids {
        let of_curve: Vec<&Point> = points.iter().filter(|point| point.id == id).collect();
        let most = of_curve.iter().map(|point| point.value).fold(0.0, f64::max);
        if let Some(first) = of_curve.first() {
            text += &format!("{id}: {} by {}\n", first.unit, first.x_unit);
        }
        for point in of_curve {
            text += &line(point, most);
        }
    }
    text
}

fn line(point: &Point, most: f64) -> String {
    let share = if most > 0.0 { point.value / most } else { 0.0 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At most the width of a bar.
    let width = (share * BAR_WIDTH).round().max(0.0) as usize;
    let (mark, note) = if point.extrapolated { ("·", " (extrapolated)") } else { ("█", "") };
    format!("{:>14}  {} {}{note}\n", number(point.x), mark.repeat(width.max(1)), number(point.value))
}

/// A count as a figure.
#[allow(clippy::cast_precision_loss)] // Far below 2^52.
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// A number as a person reads it: thousands apart, two places below a thousand.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 1_000.0 {
        let text = format!("{value:.2}");
        return text.strip_suffix(".00").map(str::to_owned).unwrap_or(text);
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// Values over time as one line of so many characters at most, from the least to the greatest of them; each character is
/// the mean of its part. What is missing is a space.
pub(crate) fn sparkline(values: &[Option<f64>], width: usize) -> String {
    let known = || values.iter().flatten().copied();
    let (least, most) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let width = width.min(values.len()).max(1);
    let spark = |part: usize| {
        let part = &values[part * values.len() / width..(part + 1) * values.len() / width];
        let there: Vec<f64> = part.iter().flatten().copied().collect();
        if there.is_empty() {
            return ' ';
        }
        #[allow(clippy::cast_precision_loss)] // Some thousand samples.
        let mean = there.iter().sum::<f64>() / there.len() as f64;
        let share = if most > least { (mean - least) / (most - least) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 7.
        let level = (share * 7.0).round() as usize;
        SPARKS[level.min(7)]
    };
    (0..width).map(spark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(f64, f64)]) -> Vec<Point> {
        let point = |(x, value): &(f64, f64)| Point {
            id: "growth_rows_newest",
            x: *x,
            x_unit: "rows",
            value: *value,
            unit: "ms",
            extrapolated: false,
            conditions: String::new(),
        };
        values.iter().map(point).collect()
    }

    #[test]
    fn a_curve_goes_on_as_its_last_points_do_and_says_so() {
        // given a cost that grows with the square root, behind a first point that does not belong to it
        let measured = points(&[(1.0, 900.0), (100.0, 10.0), (10_000.0, 100.0), (1_000_000.0, 1_000.0)]);
        // when it is taken on
        let beyond = extrapolated(&measured, &[10_000.0, 100_000_000.0]);
        // then only what was not measured is added, and marked
        assert_eq!(beyond.len(), 1);
        assert!((beyond[0].value - 10_000.0).abs() < 0.001, "{beyond:?}");
        assert!(beyond[0].extrapolated && beyond[0].conditions.contains("0.50th power of rows"), "{beyond:?}");
    }

    #[test]
    fn one_point_is_no_trend() {
        assert!(extrapolated(&points(&[(1.0, 1.0)]), &[2.0]).is_empty());
        assert!(extrapolated(&[], &[2.0]).is_empty());
        assert!(extrapolated(&points(&[(1.0, 0.0), (2.0, 1.0)]), &[4.0]).is_empty());
        assert_eq!(slope([(1.0, 1.0), (1.0, 2.0)].into_iter()), None);
    }

    #[test]
    fn a_text_curve_has_a_line_a_point_and_marks_what_was_not_measured() {
        let mut all = points(&[(1_000_000.0, 5.0), (10_000_000.0, 10.0)]);
        all.extend(extrapolated(&all, &[100_000_000.0]));
        let text = text(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert_eq!(lines[0], "growth_rows_newest: ms by rows");
        assert!(lines[1].contains("1,000,000") && lines[1].ends_with("█ 5"), "{text}");
        assert!(lines[3].ends_with("· 20 (extrapolated)"), "{text}");
    }

    #[test]
    fn a_sparkline_goes_from_the_least_to_the_greatest_and_leaves_gaps() {
        assert_eq!(sparkline(&[Some(0.0), Some(7.0), None, Some(3.0)], 60), "▁█ ▄");
        assert_eq!(sparkline(&[Some(5.0), Some(5.0)], 60), "▁▁");
        assert_eq!(sparkline(&[Some(0.0), Some(2.0), Some(10.0), Some(10.0)], 2), "▂█");
        assert_eq!(sparkline(&[], 60), " ");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            [1_234_567.8, 999.5, 12.345, 0.0, -4_000.0].map(number),
            ["1,234,568", "999.50", "12.35", "0", "-4,000"]
        );
    }
}
