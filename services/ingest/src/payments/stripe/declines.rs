//! Stripe's codes of failed payments as our own reasons: <https://docs.stripe.com/declines/codes>.

use super::objects::ApiError;

/// The reason of a failed payment. The bank's own code says most; what is not known is a refusal like any other, and so is
/// what would tell a thief that the card is known to be stolen.
pub(super) fn reason(error: &ApiError) -> &'static str {
    let codes = [error.decline_code.as_deref(), error.code.as_deref()];
    codes.into_iter().flatten().find_map(of_code).unwrap_or("card_declined")
}

fn of_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "authentication_required" | "authentication_not_handled" => "authentication_required",
        "payment_intent_authentication_failure" | "offline_pin_required" | "online_or_offline_pin_required" => {
            "authentication_failed"
        }
        "call_issuer" => "call_issuer",
        "insufficient_funds" => "insufficient_funds",
        "expired_card" => "expired_card",
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => "limit_exceeded",
        "incorrect_cvc"
        | "invalid_cvc"
        | "incorrect_number"
        | "invalid_number"
        | "invalid_expiry_month"
        | "invalid_expiry_year"
        | "incorrect_zip"
        | "incorrect_address"
        | "invalid_account"
        | "new_account_information_available" => "incorrect_details",
        "card_not_supported"
        | "currency_not_supported"
        | "service_not_allowed"
        | "transaction_not_allowed"
        | "not_permitted" => "card_not_supported",
        "processing_error" | "issuer_not_available" | "reenter_transaction" | "try_again_later" => "processing_error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::reason_text;

    fn declined(code: &str, decline_code: Option<&str>) -> ApiError {
        let decline_code = decline_code.map(str::to_owned);
        ApiError { code: Some(code.to_owned()), decline_code, ..ApiError::default() }
    }

    #[test]
    fn a_decline_is_one_of_our_reasons_and_tells_a_thief_nothing() {
        for (code, decline_code, expected) in [
            ("card_declined", Some("insufficient_funds"), "insufficient_funds"),
            ("card_declined", Some("generic_decline"), "card_declined"),
            ("card_declined", Some("do_not_honor"), "card_declined"),
            ("card_declined", Some("lost_card"), "card_declined"),
            ("card_declined", Some("stolen_card"), "card_declined"),
            ("card_declined", Some("fraudulent"), "card_declined"),
            ("card_declined", Some("authentication_required"), "authentication_required"),
            ("authentication_required", None, "authentication_required"),
            ("payment_intent_authentication_failure", None, "authentication_failed"),
            ("expired_card", Some("expired_card"), "expired_card"),
            ("incorrect_cvc", Some("incorrect_cvc"), "incorrect_details"),
            ("processing_error", None, "processing_error"),
            ("card_declined", Some("card_velocity_exceeded"), "limit_exceeded"),
            ("card_declined", Some("currency_not_supported"), "card_not_supported"),
            ("card_declined", Some("call_issuer"), "call_issuer"),
            ("of_tomorrow", Some("of_tomorrow"), "card_declined"),
        ] {
            let reason = reason(&declined(code, decline_code));
            assert_eq!(reason, expected, "{code} {decline_code:?}");
            assert_ne!(reason_text(reason), reason_text("none of them"), "{reason} has no text");
        }
    }
}
