use super::*;

fn key(kind: KeyKind, seed: u8) -> ApiKey {
    ApiKey::generate(kind, false, &[seed; 64]).unwrap()
}

fn document(key: &ApiKey, id: &str, revoked_at: Option<i64>) -> KeyDocument {
    let (prefix, last_four) = key.hint();
    KeyDocument {
        key_id: id.parse().unwrap(),
        kind: key.kind(),
        hash: key.hash(),
        prefix,
        last_four,
        account_id: Some("acc_luna".parse().unwrap()),
        booth_id: None,
        label: None,
        created_at: 1_000,
        revoked_at,
        expires_at: None,
        scopes: Vec::new(),
        replaced_by: None,
        replaces: None,
        first_key_id: None,
    }
}

fn record(document: &KeyDocument) -> (Vec<u8>, Vec<u8>) {
    (tollbooth_schemas::keys::registry_key(&document.key_id).into_bytes(), serde_json::to_vec(document).unwrap())
}

#[test]
fn a_key_in_the_registry_names_its_holder() {
    let ring = KeyRing::new("").unwrap();
    let booth = key(KeyKind::Booth, 1);
    assert_eq!(ring.authenticate(booth.reveal()), Err(AuthError::Unknown));

    let (record_key, payload) = record(&document(&booth, "key_b", None));
    assert!(ring.apply(&record_key, Some(&payload)).unwrap());

    let principal = ring.authenticate(booth.reveal()).unwrap();
    assert_eq!((principal.key_id.as_str(), principal.kind), ("key_b", KeyKind::Booth));
    assert!(principal.may_access("acc_luna") && !principal.may_access("acc_other") && !principal.is_admin());
}

#[test]
fn a_revoked_key_stays_revoked_whatever_comes_later() {
    let ring = KeyRing::new("").unwrap();
    let booth = key(KeyKind::Booth, 2);
    for revoked_at in [None, Some(2_000), None] {
        let (record_key, payload) = record(&document(&booth, "key_b", revoked_at));
        ring.apply(&record_key, Some(&payload)).unwrap();
    }
    assert_eq!(ring.authenticate(booth.reveal()), Err(AuthError::Revoked));
    assert_eq!(ring.document("key_b").unwrap().revoked_at, Some(2_000));
}

/// What a topic holds of these records once it was compacted: the last of each key, in order.
fn compacted(records: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let is_last = |index: usize| records.iter().skip(index + 1).all(|(key, _)| *key != records[index].0);
    let kept: Vec<usize> = (0..records.len()).filter(|index| is_last(*index)).collect();
    kept.into_iter().map(|index| records[index].clone()).collect()
}

/// As a release of before wrote it: the clocks decide.
fn revocation(key_id: &str, revoked_at: i64) -> (Vec<u8>, Vec<u8>) {
    revocation_that_spares(key_id, revoked_at, None)
}

fn revocation_that_spares(key_id: &str, revoked_at: i64, spares: Option<&[&str]>) -> (Vec<u8>, Vec<u8>) {
    let spares = spares.map(|spares| spares.iter().map(|id| id.parse().unwrap()).collect());
    let revocation = KeyRevocation { key_id: key_id.parse().unwrap(), revoked_at, spares };
    let record_key = tollbooth_schemas::keys::revocation_key(&revocation.key_id);
    (record_key.into_bytes(), serde_json::to_vec(&revocation).unwrap())
}

/// What a rotation writes: the successor, and the document of the key that it replaces.
fn rotation(old: KeyDocument, new: &ApiKey, id: &str, at_ms: i64) -> [(Vec<u8>, Vec<u8>); 2] {
    let successor = KeyDocument {
        created_at: at_ms,
        replaces: Some(old.key_id.clone()),
        first_key_id: Some(old.line().clone()),
        ..document(new, id, None)
    };
    let replaced = KeyDocument { replaced_by: Some(successor.key_id.clone()), ..old };
    [record(&successor), record(&replaced)]
}

fn fed(records: &[(Vec<u8>, Vec<u8>)]) -> KeyRing {
    let ring = KeyRing::new("").unwrap();
    for (record_key, payload) in records {
        assert!(ring.apply(record_key, Some(payload)).unwrap());
    }
    ring
}

#[test]
fn a_rotation_that_did_not_know_of_the_revocation_undoes_nothing() {
    // given a key that is revoked, and rotated by a process that has not heard of it, its successor rotated once more
    let (first, second, third) = (key(KeyKind::Admin, 20), key(KeyKind::Admin, 21), key(KeyKind::Admin, 22));
    let made = document(&first, "key_1", None);
    let mut written = vec![record(&made), revocation("key_1", 2_000), record(&document(&first, "key_1", Some(2_000)))];
    written.extend(rotation(made.clone(), &second, "key_2", 2_000));
    let successor = KeyDocument {
        created_at: 2_000,
        replaces: Some(made.key_id.clone()),
        first_key_id: Some(made.key_id),
        ..document(&second, "key_2", None)
    };
    written.extend(rotation(successor, &third, "key_3", 3_000));

    // then who read every record, who reads what compaction leaves of them, and who has them in another order, refuse all
    let mut backwards = compacted(&written);
    backwards.reverse();
    for records in [compacted(&written), written, backwards] {
        let ring = fed(&records);
        for key in [&first, &second, &third] {
            assert_eq!(ring.authenticate(key.reveal()), Err(AuthError::Revoked));
        }
        for key_id in ["key_1", "key_2", "key_3"] {
            assert_eq!(ring.holder(key_id).unwrap_err(), AuthError::Revoked);
            assert_eq!(ring.document(key_id).unwrap().revoked_at, Some(2_000), "{key_id}");
        }
    }
}

#[test]
fn a_key_that_was_rotated_in_time_outlives_the_revocation_of_the_one_before() {
    // given a key that is rotated, and revoked because the old one leaked
    let (first, second) = (key(KeyKind::Booth, 23), key(KeyKind::Booth, 24));
    let made = document(&first, "key_1", None);
    let mut written = vec![record(&made)];
    written.extend(rotation(made, &second, "key_2", 1_999));
    written.push(revocation("key_1", 2_000));
    written.push(record(&document(&first, "key_1", Some(2_000))));

    // then only the old one is refused, and the new one is known for its successor
    for records in [compacted(&written), written] {
        let ring = fed(&records);
        assert_eq!(ring.authenticate(first.reveal()), Err(AuthError::Revoked));
        let principal = ring.authenticate(second.reveal()).unwrap();
        assert_eq!((principal.key_id.as_str(), principal.line.as_str()), ("key_2", "key_1"));
    }
}

#[test]
fn whom_a_revocation_means_is_its_own_word_and_no_clocks() {
    for (made_at, spares, is_refused) in [
        // Rotated, then revoked by a process whose clock is far behind: the fresh successor is the one to go on with.
        (9_000, &["key_2"][..], false),
        // Revoked, then rotated by a process that had not heard of it, and whose clock is far behind.
        (1_000, &[], true),
    ] {
        let (first, second, third) = (key(KeyKind::Booth, 30), key(KeyKind::Booth, 31), key(KeyKind::Booth, 32));
        let made = document(&first, "key_1", None);
        let mut written = vec![record(&made)];
        written.extend(rotation(made.clone(), &second, "key_2", made_at));
        written.push(revocation_that_spares("key_1", 2_000, Some(spares)));
        written.push(record(&document(&first, "key_1", Some(2_000))));
        let successor =
            KeyDocument { created_at: made_at, replaces: Some(made.key_id), ..document(&second, "key_2", None) };
        written.extend(rotation(successor, &third, "key_3", made_at + 1));
        let mut backwards = compacted(&written);
        backwards.reverse();
        for records in [compacted(&written), written, backwards] {
            let ring = fed(&records);
            assert_eq!(ring.authenticate(first.reveal()), Err(AuthError::Revoked));
            for successor in [&second, &third] {
                assert_eq!(ring.authenticate(successor.reveal()).is_err(), is_refused, "{made_at}");
            }
            assert_eq!(ring.successors("key_1"), ["key_2".parse().unwrap()]);
        }
    }
}

#[test]
fn a_line_that_runs_in_a_circle_is_judged_all_the_same() {
    let (first, second) = (key(KeyKind::Booth, 33), key(KeyKind::Booth, 34));
    let of = |key: &ApiKey, id: &str, replaces: &str| {
        record(&KeyDocument { replaces: Some(replaces.parse().unwrap()), ..document(key, id, None) })
    };
    let ring = fed(&[of(&first, "key_1", "key_2"), of(&second, "key_2", "key_1")]);
    assert!(ring.authenticate(first.reveal()).is_ok() && ring.authenticate(second.reveal()).is_ok());
}

#[test]
fn a_document_of_before_is_revoked_by_itself_and_no_tombstone_takes_a_revocation_back() {
    let old = key(KeyKind::Booth, 25);
    let ring = fed(&[record(&document(&old, "key_1", Some(2_000)))]);
    assert_eq!(ring.authenticate(old.reveal()), Err(AuthError::Revoked));
    let (record_key, payload) = revocation("key_1", 2_000);
    assert!(ring.apply(&record_key, Some(&payload)).unwrap() && ring.apply(&record_key, None).unwrap());
    ring.insert(document(&old, "key_1", None)).unwrap();
    assert_eq!(ring.authenticate(old.reveal()), Err(AuthError::Revoked));
    // A record of another key than it says is none.
    assert!(matches!(ring.apply(b"key-revoked:key_2", Some(&payload)), Err(KeyRecordError::OtherId(_))));
    assert!(ring.apply(b"key-revoked:key_2", Some(b"{}")).is_err());
}

#[test]
fn a_principal_is_of_the_mode_of_its_key() {
    let root = ApiKey::generate(KeyKind::Admin, true, &[26; 64]).unwrap();
    let ring = KeyRing::new(root.reveal()).unwrap();
    assert!(ring.authenticate(root.reveal()).unwrap().is_test);
    for test in [true, false] {
        let booth = ApiKey::generate(KeyKind::Booth, test, &[27; 64]).unwrap();
        ring.insert(document(&booth, "key_1", None)).unwrap();
        assert_eq!(ring.authenticate(booth.reveal()).unwrap().is_test, test);
    }
}

#[test]
fn a_mistyped_key_is_refused_before_the_look_up() {
    let ring = KeyRing::new("").unwrap();
    let text = key(KeyKind::Booth, 3).reveal().replace("bk_live", "bk_test");
    assert_eq!(ring.authenticate(&text), Err(AuthError::Malformed(KeyError::Checksum)));
    assert_eq!(ring.authenticate("hello"), Err(AuthError::Malformed(KeyError::Form)));
}

#[test]
fn the_root_key_is_an_admin_key_and_no_record_can_touch_it() {
    let root = key(KeyKind::Admin, 4);
    let ring = KeyRing::new(root.reveal()).unwrap();
    let (record_key, payload) = record(&document(&root, ROOT_KEY_ID, Some(1)));
    ring.apply(&record_key, Some(&payload)).unwrap();
    assert!(ring.authenticate(root.reveal()).unwrap().is_admin());
    assert!(matches!(KeyRing::new(key(KeyKind::Booth, 5).reveal()), Err(RootKeyError::Kind("bk"))));
    assert!(matches!(KeyRing::new("secret"), Err(RootKeyError::Malformed(_))));
}

#[test]
fn foreign_and_broken_records_leave_the_ring_as_it_was() {
    let ring = KeyRing::new("").unwrap();
    assert!(!ring.apply(b"booth:bth_1", Some(b"{}")).unwrap());
    assert!(ring.apply(b"key:key_b", Some(b"{}")).is_err());
    let (_, payload) = record(&document(&key(KeyKind::Booth, 6), "key_b", None));
    assert!(matches!(ring.apply(b"key:key_c", Some(&payload)), Err(KeyRecordError::OtherId(_))));
    assert!(ring.documents().is_empty());
}

#[test]
fn the_header_is_a_bearer_of_any_case() {
    let root = key(KeyKind::Admin, 7);
    let ring = KeyRing::new(root.reveal()).unwrap();
    let headers = |value: &str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
    assert!(ring.authenticate_headers(&headers(&format!("bearer {}", root.reveal()))).is_ok());
    assert_eq!(ring.authenticate_headers(&headers("Basic eDp5")), Err(AuthError::Missing));
    assert_eq!(ring.authenticate_headers(&HeaderMap::new()), Err(AuthError::Missing));
}

#[test]
fn the_holder_of_a_key_is_found_by_its_id_until_it_is_revoked() {
    let root = key(KeyKind::Admin, 8);
    let ring = KeyRing::new(root.reveal()).unwrap();
    let (first, second) = (key(KeyKind::Account, 9), key(KeyKind::Account, 10));
    ring.insert(document(&first, "key_a", None)).unwrap();
    let (principal, mark) = ring.holder("key_a").unwrap();
    assert_eq!((principal.key_id.as_str(), mark.len()), ("key_a", 16));
    assert!(first.hash().starts_with(&mark));

    // Another key of the same id has another mark.
    ring.insert(document(&second, "key_a", None)).unwrap();
    assert_ne!(ring.holder("key_a").unwrap().1, mark);
    ring.insert(document(&second, "key_a", Some(2_000))).unwrap();
    assert_eq!(ring.holder("key_a").unwrap_err(), AuthError::Revoked);
    assert_eq!(ring.holder("key_b").unwrap_err(), AuthError::Unknown);
    assert!(ring.holder(ROOT_KEY_ID).unwrap().0.is_admin());
    assert_eq!(KeyRing::new("").unwrap().holder(ROOT_KEY_ID).unwrap_err(), AuthError::Unknown);
}

#[test]
fn an_expired_key_is_refused_by_itself_and_by_its_id_and_its_end_is_never_put_off() {
    let ring = KeyRing::new("").unwrap();
    let account = key(KeyKind::Account, 11);
    let ends = |expires_at| KeyDocument { expires_at, ..document(&account, "key_a", None) };
    ring.insert(ends(Some(now_ms() + 600_000))).unwrap();
    assert!(ring.authenticate(account.reveal()).is_ok() && ring.holder("key_a").is_ok());
    // One instant is the end, and what a writer says that does not know of it changes nothing.
    for expires_at in [Some(now_ms()), None, Some(now_ms() + 600_000)] {
        ring.insert(ends(expires_at)).unwrap();
        assert_eq!(ring.authenticate(account.reveal()), Err(AuthError::Expired), "{expires_at:?}");
        assert_eq!(ring.holder("key_a").unwrap_err(), AuthError::Expired, "{expires_at:?}");
    }
}

#[test]
fn a_narrowed_key_has_what_it_says_and_gives_nothing_else_away() {
    let ring = KeyRing::new(key(KeyKind::Admin, 12).reveal()).unwrap();
    let narrow = key(KeyKind::Admin, 13);
    let scopes = vec![Scope::Keys, Scope::Read];
    ring.insert(KeyDocument { scopes, account_id: None, ..document(&narrow, "key_n", None) }).unwrap();
    let narrow = ring.authenticate(narrow.reveal()).unwrap();
    assert!(narrow.has(Scope::Keys) && !narrow.has(Scope::Money));
    assert_eq!(narrow.require(Scope::Money).unwrap_err().status().as_u16(), 403);
    assert!(narrow.covers(KeyKind::Account, &[Scope::Read]));
    // No scopes are all of the kind.
    assert!(!narrow.covers(KeyKind::Account, &[]) && !narrow.covers(KeyKind::Admin, &[]));
    let (whole, _) = ring.holder(ROOT_KEY_ID).unwrap();
    assert!(whole.covers(KeyKind::Admin, &[]) && whole.has(Scope::Money));
}

#[test]
fn a_use_is_told_once_and_survives_a_new_document() {
    let ring = KeyRing::new("").unwrap();
    let (used, idle) = (key(KeyKind::Booth, 14), key(KeyKind::Booth, 15));
    ring.insert(document(&used, "key_u", None)).unwrap();
    ring.insert(document(&idle, "key_i", None)).unwrap();
    assert!(ring.untold_uses().is_empty());
    let before = now_ms();
    ring.authenticate(used.reveal()).unwrap();
    // when its document comes once more, as the topic brings it after its own writer knew it
    ring.insert(document(&used, "key_u", None)).unwrap();
    let uses = ring.untold_uses();
    assert_eq!(uses.len(), 1);
    assert!(uses[0].0.as_str() == "key_u" && (before..=now_ms()).contains(&uses[0].1));
    assert_eq!(ring.last_used("key_u"), Some(uses[0].1));
    ring.told(&uses);
    assert!(ring.untold_uses().is_empty() && ring.last_used("key_i").is_none());
    // A key that is refused was not used.
    ring.insert(document(&idle, "key_i", Some(1))).unwrap();
    assert_eq!(ring.authenticate(idle.reveal()), Err(AuthError::Revoked));
    assert_eq!(ring.last_used("key_i"), None);
}
