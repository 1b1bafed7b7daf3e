//! Decimal text with at most six places, as an integer number of millionths.
//!
//! Both [`Money`](crate::Money) and [`Quantity`](crate::Quantity) are written this way; the two differ in
//! sign and bound only.

/// Millionths in one.
pub const SCALE: i64 = 1_000_000;
const PLACES: usize = 6;

/// Why a text is not a decimal number that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not `-?\d+(\.\d{1,6})?`.
    #[error("is not a decimal number with at most 6 places, like \"12.34\"")]
    Syntax,
    /// A number, but beyond the bound of its kind.
    #[error("is out of range")]
    Range,
}

/// Reads `-?\d+(\.\d{1,6})?` into millionths.
///
/// # Errors
/// [`DecimalError::Syntax`] for any other text (no exponent, no sign `+`, no blank), [`DecimalError::Range`]
/// where the value does not fit an `i64` of millionths.
pub fn parse_micros(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Syntax),
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > PLACES || !all_digits(whole) || !all_digits(fraction) {
        return Err(DecimalError::Syntax);
    }
    let mut micros: i64 = 0;
    let padding = std::iter::repeat_n(b'0', PLACES.saturating_sub(fraction.len()));
    for byte in whole.bytes().chain(fraction.bytes()).chain(padding) {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        micros = micros.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or(DecimalError::Range)?;
    }
    if negative { micros.checked_neg().ok_or(DecimalError::Range) } else { Ok(micros) }
}

/// Writes millionths with at least `places_min` and at most six places, trailing zeros beyond that trimmed.
pub(crate) fn write_micros(micros: i64, places_min: usize, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    let magnitude = micros.unsigned_abs();
    let scale = SCALE.unsigned_abs();
    let sign = if micros < 0 { "-" } else { "" };
    let whole = magnitude.checked_div(scale).unwrap_or_default();
    let mut fraction = magnitude.checked_rem(scale).unwrap_or_default();
    let mut places = PLACES;
    while places > places_min && fraction.is_multiple_of(10) {
        fraction = fraction.checked_div(10).unwrap_or_default();
        places = places.saturating_sub(1);
    }
    if places == 0 { write!(out, "{sign}{whole}") } else { write!(out, "{sign}{whole}.{fraction:0places$}") }
}
