//! Copies elsewhere: in a directory, and in a store that speaks S3, whose files lie in one.

use super::{s3::S3, *};

/// Where checkpoints of a test lie.
struct Elsewhere {
    dir: tempfile::TempDir,
    s3: Option<S3>,
}

impl Elsewhere {
    fn directory() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), s3: None }
    }

    fn s3() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let s3 = S3::start(dir.path());
        Self { dir, s3: Some(s3) }
    }

    /// Where their files are.
    fn path(&self) -> PathBuf {
        if self.s3.is_some() { self.dir.path().join(s3::BUCKET).join("prefix") } else { self.dir.path().to_owned() }
    }

    fn checkpoints(&self) -> Arc<Checkpoints> {
        let (url, variables) = match &self.s3 {
            Some(s3) => (format!("s3://{}/prefix", s3::BUCKET), s3.variables(None)),
            None => (format!("file://{}", self.dir.path().display()), Vec::new()),
        };
        let config = CheckpointConfig { url, ..CheckpointConfig::default() };
        Arc::new(Checkpoints::with(&config, variables.into_iter()).unwrap())
    }
}

impl World {
    fn checkpoint(&self, checkpoints: &Checkpoints) {
        let made = checkpoints.make(&identity(), &self.store.as_ref().unwrap().snapshot()).unwrap();
        assert_eq!(made, self.offset);
    }

    /// On a machine without a store; with the codes of what was refused.
    fn restore(&mut self, checkpoints: &Checkpoints, ledger: Bounds) -> Vec<&'static str> {
        self.store = None;
        remove(&self.path()).unwrap();
        let mut codes = Vec::new();
        let refused = |_: &str, error: &CheckpointError| codes.push(error.code());
        let (dir, limits, identity) = (self.path(), limits(), identity());
        let target = Target { dir: &dir, cache_bytes: CACHE, identity: &identity, limits: &limits, ledger };
        let restored = checkpoints.restore(&target, refused, |_, _| true).unwrap();
        if let Some((store, mut state)) = restored {
            state.keep_changes();
            (self.store, self.state) = (Some(store), state);
        }
        codes
    }

    fn next_offset(&self) -> Option<i64> {
        self.store.as_ref().map(Store::next_offset)
    }
}

#[test]
fn the_newest_checkpoint_that_is_what_it_says_is_the_store() {
    the_newest_checkpoint_that_is_what_it_says_is_the_store_in(&Elsewhere::directory());
}

#[test]
fn the_newest_checkpoint_that_is_what_it_says_is_the_store_over_s3() {
    the_newest_checkpoint_that_is_what_it_says_is_the_store_in(&Elsewhere::s3());
}

fn the_newest_checkpoint_that_is_what_it_says_is_the_store_in(elsewhere: &Elsewhere) {
    let (checkpoints, mut world) = (elsewhere.checkpoints(), World::new());
    // given two checkpoints
    for round in 0..2 {
        world.charge(round * 100..round * 100 + 100);
        world.write();
        world.checkpoint(&checkpoints);
    }
    let newest = world.offset;
    // when a machine without a store begins, then it has what the newest one has
    assert_eq!(world.restore(&checkpoints, LEDGER), Vec::<&str>::new());
    assert_eq!(world.next_offset(), Some(newest));
    world.assert_whole();
    assert_eq!(world.state.account(ACCOUNT).unwrap().seq, world.seq);
    // and goes on with it
    world.charge(200..210);
    world.write();
    world.reopen();
    world.assert_whole();
    // when the ledger ends before the newest one, then the one before is the store
    assert_eq!(world.restore(&checkpoints, Bounds { low: 0, end: newest - 1 }), ["future"]);
    assert_eq!(world.next_offset(), Some(newest - 100));
    // when a byte of any of its files is another one, then it is refused, and the one before is the store
    let mut parts: Vec<PathBuf> = files(&elsewhere.path())
        .into_iter()
        .filter(|path| path.display().to_string().contains(&format!("{newest:020}")))
        .collect();
    parts.sort();
    assert!(parts.len() >= 3, "{parts:?}");
    for path in &parts {
        let sound = fs::read(path).unwrap();
        for at in [0, sound.len() / 2, sound.len() - 2] {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(path, &bytes).unwrap();
            let codes = world.restore(&checkpoints, LEDGER);
            assert!(matches!(codes[..], ["checksum" | "manifest"]), "{codes:?} for {} at {at}", path.display());
            assert_eq!(world.next_offset(), Some(newest - 100));
            fs::write(path, &sound).unwrap();
        }
    }
    // and one whose manifest was not written, or of which a part is gone, is none
    let manifest = parts.iter().find(|path| path.ends_with("manifest.json")).unwrap();
    let part = parts.iter().find(|path| !path.ends_with("manifest.json")).unwrap();
    for (gone, codes) in [(part, vec!["unreachable"]), (manifest, vec![])] {
        let bytes = fs::read(gone).unwrap();
        fs::remove_file(gone).unwrap();
        assert_eq!(world.restore(&checkpoints, LEDGER), codes);
        assert_eq!(world.next_offset(), Some(newest - 100));
        fs::write(gone, bytes).unwrap();
    }
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let elsewhere = Elsewhere::directory();
    let (checkpoints, mut world) = (elsewhere.checkpoints(), World::new());
    world.charge(0..10);
    world.write();
    world.checkpoint(&checkpoints);
    // given that it was put where another cluster's lie
    let other = Identity { cluster_id: "two".to_owned(), ..identity() };
    fs::rename(elsewhere.path().join("one"), elsewhere.path().join("two")).unwrap();
    let mut codes = Vec::new();
    let refused = |_: &str, error: &CheckpointError| codes.push(error.code());
    let (dir, limits) = (elsewhere.path().join("restored"), limits());
    let target = Target { dir: &dir, cache_bytes: CACHE, identity: &other, limits: &limits, ledger: LEDGER };
    let restored = checkpoints.restore(&target, refused, |_, _| true).unwrap();
    assert!(restored.is_none());
    assert_eq!(codes, ["mismatch"]);
    // and where none lie there is none
    assert_eq!(world.restore(&checkpoints, LEDGER), Vec::<&str>::new());
    assert_eq!(world.next_offset(), None);
}

#[test]
fn old_checkpoints_go_and_the_last_two_stay() {
    old_checkpoints_go_and_the_last_two_stay_in(&Elsewhere::directory());
}

#[test]
fn old_checkpoints_go_and_the_last_two_stay_over_s3() {
    old_checkpoints_go_and_the_last_two_stay_in(&Elsewhere::s3());
}

fn old_checkpoints_go_and_the_last_two_stay_in(elsewhere: &Elsewhere) {
    let (checkpoints, mut world) = (elsewhere.checkpoints(), World::new());
    let folder = elsewhere.path().join("one/tollbooth.ledger/3");
    for round in 0..4 {
        world.charge(round * 10..round * 10 + 10);
        world.write();
        world.checkpoint(&checkpoints);
        // One that was begun before and never finished.
        let unfinished = folder.join(format!("{:020}-0000000000000", world.offset));
        fs::create_dir_all(&unfinished).unwrap();
        fs::write(unfinished.join("00000.rows"), b"x").unwrap();
    }
    let left = files(&folder);
    let manifests = left.iter().filter(|path| path.ends_with("manifest.json")).count();
    assert_eq!(manifests, 2, "{left:?}");
    assert!(left.iter().all(|path| !path.display().to_string().contains(&format!("{:020}", 11))), "{left:?}");
}

#[test]
fn one_checkpoint_is_made_at_a_time_and_debits_go_on() {
    let elsewhere = Elsewhere::directory();
    let (checkpoints, mut world) = (elsewhere.checkpoints(), World::new());
    world.charge(0..1_000);
    world.write();
    // given one that has begun and waits for its end to be told
    let (tell, told) = std::sync::mpsc::channel();
    let first = world.offset;
    let done = move |outcome| tell.send(outcome).unwrap();
    assert!(checkpoints.begin(identity(), world.store.as_ref().unwrap(), done).unwrap());
    // when the store is written meanwhile
    world.charge(1_000..1_100);
    world.write();
    // then the checkpoint has what there was when it began
    assert_eq!(told.recv().unwrap().unwrap(), first);
    world.restore(&checkpoints, LEDGER);
    assert_eq!(world.next_offset(), Some(first));
    assert_eq!(world.state.account(ACCOUNT).unwrap().seq, u64::try_from(first).unwrap());
    // and while one is being made there is no other
    let busy = checkpoints.busy().unwrap();
    assert!(!checkpoints.begin(identity(), world.store.as_ref().unwrap(), |_| {}).unwrap());
    drop(busy);
}

#[test]
fn a_store_that_does_not_take_the_key_has_no_checkpoint_and_says_so() {
    let elsewhere = Elsewhere::s3();
    let mut world = World::new();
    world.charge(0..10);
    world.write();
    world.checkpoint(&elsewhere.checkpoints());
    // when its client has another secret
    let url = format!("s3://{}/prefix", s3::BUCKET);
    let variables = elsewhere.s3.as_ref().unwrap().variables(Some("another"));
    let config = CheckpointConfig { url, ..CheckpointConfig::default() };
    let refused = Checkpoints::with(&config, variables.into_iter()).unwrap();
    // then neither is one made nor is one restored
    let error = refused.make(&identity(), &world.store.as_ref().unwrap().snapshot()).unwrap_err();
    assert_eq!(error.code(), "unreachable");
    assert!(error.to_string().contains("SignatureDoesNotMatch"), "{error}");
    let (dir, limits, identity) = (world.path().join("other"), limits(), identity());
    let target = Target { dir: &dir, cache_bytes: CACHE, identity: &identity, limits: &limits, ledger: LEDGER };
    assert_eq!(refused.restore(&target, |_, _| (), |_, _| true).unwrap_err().code(), "unreachable");
}
