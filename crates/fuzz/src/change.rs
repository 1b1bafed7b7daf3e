//! How an input is changed.

use rand::{Rng, RngExt};

/// Longer inputs are cut: what is read has limits of its own, which other tests reach.
const BYTES_MAX: usize = 16 * 1024;
/// Most changes of one input.
const CHANGES_MAX: usize = 6;
/// Most bytes that one change takes away or doubles, mostly.
const PIECE_BYTES_MAX: usize = 32;
/// Numbers at which something may turn over.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "00",
    "0.000001",
    "0.0000001",
    "1e3",
    "65536",
    "4294967296",
    "999999999999.999999",
    "1000000000000",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
];

/// What changed inputs are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changer<'a> {
    pub(crate) inputs: &'a [Vec<u8>],
    pub(crate) words: &'a [&'a str],
}

impl<'a> Changer<'a> {
    /// One of the inputs, changed a few times.
    pub(crate) fn changed(self, chance: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.input(chance).to_vec();
        // Mostly one or two: what is taken in spite of them says most.
        for _ in 0..CHANGES_MAX {
            self.change(&mut bytes, chance);
            if chance.random_range(0..2) == 0 {
                break;
            }
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }

    fn input(self, chance: &mut impl Rng) -> &'a [u8] {
        &self.inputs[chance.random_range(0..self.inputs.len())]
    }

    fn change(self, bytes: &mut Vec<u8>, chance: &mut impl Rng) {
        let at = chance.random_range(0..=bytes.len());
        match chance.random_range(0..8) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << chance.random_range(0..8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = chance.random()),
            2 => drop(bytes.drain(piece(bytes, chance))),
            3 => insert(bytes, at, &[chance.random()]),
            4 => {
                let copy = bytes[piece(bytes, chance)].to_vec();
                insert(bytes, at, &copy);
            }
            5 => {
                let other = self.input(chance);
                let from = chance.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 => replace_number(bytes, at, NUMBERS[chance.random_range(0..NUMBERS.len())]),
            _ if self.words.is_empty() => {}
            _ => insert(bytes, at, self.words[chance.random_range(0..self.words.len())].as_bytes()),
        }
    }
}

/// A piece of the bytes: mostly a short one.
fn piece(bytes: &[u8], chance: &mut impl Rng) -> std::ops::Range<usize> {
    let from = chance.random_range(0..=bytes.len());
    let rest = bytes.len() - from;
    let most = if chance.random_range(0..8) == 0 { rest } else { rest.min(PIECE_BYTES_MAX) };
    from..from + chance.random_range(0..=most)
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    bytes.splice(at..at, more.iter().copied());
}

/// Puts `number` in the place of the digits that stand at `at` or next behind it.
fn replace_number(bytes: &mut Vec<u8>, at: usize, number: &str) {
    let Some(skipped) = bytes[at..].iter().position(u8::is_ascii_digit) else { return };
    let from = at + skipped;
    let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(from..from + digits, number.bytes());
}
