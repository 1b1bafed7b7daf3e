//! Why a payment failed: a closed list of our own, whatever a provider calls it.

/// Code and text. A text says what the payer can do, and nothing that helps whoever tries stolen cards.
const REASONS: &[(&str, &str)] = &[
    ("authentication_failed", "the bank's confirmation was not given"),
    ("authentication_required", "the bank wants a confirmation, and nobody was there to give it"),
    ("call_issuer", "the bank refused it and says no more: ask the bank, or use another card"),
    ("canceled", "the payment was canceled"),
    ("card_declined", "the bank refused it: use another card"),
    ("card_not_supported", "the card does not allow this kind of payment or this currency: use another card"),
    ("expired_card", "the card has expired: use another one"),
    ("incorrect_details", "the card's number, date or code is not right: save the card anew"),
    ("insufficient_funds", "the card has not enough money: use another one, or a smaller amount"),
    ("limit_exceeded", "the card's limit is reached: use another one, or a smaller amount"),
    ("processing_error", "the bank could not process it: try again later"),
];

/// What a reason means, for people.
pub(crate) fn text(reason: &str) -> &'static str {
    let known = REASONS.iter().find(|(code, _)| *code == reason);
    known.map_or("the provider refused it", |(_, text)| text)
}
