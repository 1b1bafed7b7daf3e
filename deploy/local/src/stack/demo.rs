//! The demo's keys and `demo.env`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollbooth_schemas::keys::{ApiKey, KeyKind, RANDOM_BYTES};

use super::api::Api;

/// The account that people look at first; the fleet's first one.
pub(crate) const ACCOUNT_ID: &str = "acc_demo_001";
/// What the services demand of a secret.
const SECRET_CHARS_MIN: usize = 32;
/// The fleet's accounts are `acc_<this>_001` and on.
pub(crate) const ACCOUNT_PREFIX: &str = "demo";

/// The admin key in `path`, made on first use and kept from then on.
pub(crate) fn admin_key(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let key =
                ApiKey::parse(text.trim()).with_context(|| format!("{}: delete it for a new one", path.display()))?;
            return Ok(key.reveal().to_owned());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    }
    let key = generate()?;
    write_secret(path, &format!("{}\n", key.reveal())).with_context(|| format!("write {}", path.display()))?;
    Ok(key.reveal().to_owned())
}

/// The secret in `path`, made on first use and kept from then on, so that who signed in stays so over a restart.
pub(crate) fn session_secret(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= SECRET_CHARS_MIN => return Ok(text.trim().to_owned()),
        Ok(_) => anyhow::bail!("{} is too short: delete it for a new one", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    }
    let secret: String = chance()?.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    write_secret(path, &format!("{secret}\n")).with_context(|| format!("write {}", path.display()))?;
    Ok(secret)
}

fn chance() -> anyhow::Result<[u8; RANDOM_BYTES]> {
    let mut chance = [0_u8; RANDOM_BYTES];
    let mut source = File::open("/dev/urandom").context("open /dev/urandom")?;
    source.read_exact(&mut chance).context("read /dev/urandom")?;
    Ok(chance)
}

fn generate() -> anyhow::Result<ApiKey> {
    loop {
        let chance = chance()?;
        if let Some(key) = ApiKey::generate(KeyKind::Admin, false, &chance) {
            return Ok(key);
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut staging = path.as_os_str().to_owned();
    staging.push(".new");
    // Gone first: the mode counts only for a file that is made.
    match fs::remove_file(&staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&staging)?;
    file.write_all(text.as_bytes())?;
    fs::rename(staging, path)
}

/// A key that ingest made, with what is needed to look whether it still counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MadeKey {
    key_id: String,
    /// As its holder sends it.
    pub(crate) key: String,
}

/// The demo account's keys; ingest shows a key only once, so they are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DemoKeys {
    /// Writes usage.
    pub(crate) booth: MadeKey,
    /// Reads.
    pub(crate) account: MadeKey,
}

impl DemoKeys {
    /// Those of an earlier run, if ingest still knows them, else new ones.
    pub(crate) fn ensure(path: &Path, api: &Api) -> anyhow::Result<Self> {
        let live = api.live_key_ids()?;
        let kept = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        // Another cluster may be behind the same folder.
        if let Some(kept) = kept.filter(|kept| live.contains(&kept.booth.key_id) && live.contains(&kept.account.key_id))
        {
            return Ok(kept);
        }
        let make = |kind: KeyKind, label: &str| {
            let document = json!({ "kind": kind, "account_id": ACCOUNT_ID, "label": label });
            api.make_key(&document).map(|(key_id, key)| MadeKey { key_id, key })
        };
        let keys =
            Self { booth: make(KeyKind::Booth, "demo booths")?, account: make(KeyKind::Account, "demo account")? };
        let text = serde_json::to_string_pretty(&keys)?;
        write_secret(path, &text).with_context(|| format!("write {}", path.display()))?;
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_admin_key_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.key");
        let key = admin_key(&path).unwrap();
        assert_eq!(ApiKey::parse(&key).unwrap().kind(), KeyKind::Admin);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(admin_key(&path).unwrap(), key);
    }

    #[test]
    fn the_session_secret_is_made_once_and_a_short_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.secret");
        let secret = session_secret(&path).unwrap();
        assert_eq!((secret.len(), session_secret(&path).unwrap()), (64, secret));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(session_secret(&path).is_err());
    }

    #[test]
    fn a_spoiled_admin_key_is_refused_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.key");
        fs::write(&path, "tb_ak_live_short").unwrap();
        assert!(format!("{:#}", admin_key(&path).unwrap_err()).contains("admin.key"));
    }
}
