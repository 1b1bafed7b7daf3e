//! What becomes of an input that a target does not survive.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::print_of;

/// Most tries to make an input smaller: each of them prints the panic once more.
const TRIES_MAX: usize = 400;

/// Calls the target.
///
/// # Panics
/// Where it does: with the input, made smaller, and where that was kept.
pub(crate) fn guard(name: &str, input: &[u8], target: &impl Fn(&[u8])) {
    let Err(panic) = run(input, target) else { return };
    let small = smaller(input.to_vec(), target);
    let path = keep(name, &small);
    panic!(
        "{name}: {}\n  input: {}\n  kept as {}\n  as a file of crates/fuzz/corpus/{name} every run tries it",
        text_of(&*panic),
        small.escape_ascii(),
        path.display()
    );
}

fn run(input: &[u8], target: &impl Fn(&[u8])) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| target(input)))
}

/// Takes pieces away for as long as it still fails, ever smaller ones.
fn smaller(mut input: Vec<u8>, target: &impl Fn(&[u8])) -> Vec<u8> {
    let mut tries = 0;
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < input.len() && tries < TRIES_MAX {
            let mut less = input.clone();
            less.drain(at..(at + size).min(input.len()));
            tries += 1;
            if run(&less, target).is_err() { input = less } else { at += size }
        }
        size /= 2;
    }
    input
}

/// Beside cargo's own temporary files, so that `cargo clean` takes it away.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let folder = target.join("tmp/fuzz");
    let path = folder.join(format!("{name}-{:016x}", print_of(input)));
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    assert!(kept.is_ok(), "{}: {kept:?}", path.display());
    path
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}
