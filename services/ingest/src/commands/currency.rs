//! The active currencies of ISO 4217 (list one, funds and metals left out).

/// Sorted, three letters each.
const CODES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD \
                     CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD \
                     GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD \
                     KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO \
                     NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE \
                     SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV \
                     WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// Whether `code` is an active currency.
pub(crate) fn is_iso_4217(code: &str) -> bool {
    code.len() == 3 && CODES.split(' ').any(|known| known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_whole_upper_case_and_known() {
        assert!(is_iso_4217("USD") && is_iso_4217("JPY"));
        for code in ["usd", "US", "USD ", "D AF", "XXX", ""] {
            assert!(!is_iso_4217(code), "{code:?}");
        }
    }
}
