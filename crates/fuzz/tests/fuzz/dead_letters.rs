//! What names a dead letter, as it stands in paths and headers.

use tollbooth_fuzz::fuzz;
use tollbooth_schemas::dead_letter::{LetterId, Reason};
use tollbooth_schemas::ids::parse_entry_id;

#[test]
fn an_id_is_refused_or_names_what_it_says() {
    let seeds =
        ["tollbooth.usage-3-1204", "a-b-c-0-0", "ent_acc_luna_7", "no_price"].map(|text| text.as_bytes().to_vec());
    fuzz("id", seeds.to_vec(), &["-", "_", "+1", "-0", "ent_", "acc_", "٣"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(id) = text.parse::<LetterId>() {
            // 007 names the same record as 7, and is printed so.
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        if let Some((account, seq)) = parse_entry_id(&text) {
            assert_eq!(tollbooth_schemas::ids::entry_id(account.as_str(), seq), text);
        }
        if let Some(reason) = Reason::from_code(&text) {
            assert_eq!(reason.code(), text);
        }
    });
}
