//! Columns of the `ledger` table in ClickHouse's `Native` format.
//!
//! Columnar on our side already: the server takes the block as it is instead of turning rows into columns, and one HTTP
//! body is one block whatever the server's block size settings say.
//! Format: <https://clickhouse.com/docs/interfaces/formats/Native>.

use std::collections::HashMap;

/// Where the bytes of a body go.
pub(super) type Body = Vec<u8>;

fn put_varint(out: &mut Body, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_text(out: &mut Body, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// One kind of column: its type in the table and how its values are written.
pub(super) trait Column: Default {
    /// Type as the table declares it, so that the server casts nothing.
    const TYPE: &'static str;
    /// Bytes it takes in a body, roughly.
    fn bytes(&self) -> usize;
    /// Appends all values.
    fn write(&self, out: &mut Body);
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $value:ty, $type:literal) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name(Vec<u8>);

        impl $name {
            pub(super) fn push(&mut self, value: $value) {
                self.0.extend_from_slice(&value.to_le_bytes());
            }
        }

        impl Column for $name {
            const TYPE: &'static str = $type;

            fn bytes(&self) -> usize {
                self.0.len()
            }

            fn write(&self, out: &mut Body) {
                out.extend_from_slice(&self.0);
            }
        }
    };
}

number!(/// Counts from 0.
    U64, u64, "UInt64");
number!(/// Small counts.
    U32, u32, "UInt32");
number!(/// Partitions.
    U16, u16, "UInt16");
number!(/// Signed.
    I64, i64, "Int64");
number!(/// Millionths travel as they are: a decimal is a scaled integer.
    Micros, i64, "Decimal(18, 6)");
number!(/// Milliseconds since the epoch.
    Instant, i64, "DateTime64(3, 'UTC')");

/// 0 or 1.
#[derive(Debug, Default)]
pub(super) struct Flag(Vec<u8>);

impl Flag {
    pub(super) fn push(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }
}

impl Column for Flag {
    const TYPE: &'static str = "Bool";

    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn write(&self, out: &mut Body) {
        out.extend_from_slice(&self.0);
    }
}

/// Any text.
#[derive(Debug, Default)]
pub(super) struct Text(Body);

impl Text {
    pub(super) fn push(&mut self, text: &str) {
        put_text(&mut self.0, text);
    }
}

impl Column for Text {
    const TYPE: &'static str = "String";

    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn write(&self, out: &mut Body) {
        out.extend_from_slice(&self.0);
    }
}

/// A text of few values: a dictionary of this block and an index a row. Saves the server hashing every value.
#[derive(Debug, Default)]
pub(super) struct Code {
    keys: Vec<Box<str>>,
    index_of: HashMap<Box<str>, u32>,
    rows: Vec<u32>,
    /// Index of the value before this one, which is this one more often than not.
    last: usize,
}

impl Code {
    /// The dictionary travels with the block, it is not the table's.
    const VERSION: u64 = 1;
    const HAS_ADDITIONAL_KEYS: u64 = 1 << 9;
    const UPDATES_DICTIONARY: u64 = 1 << 10;

    pub(super) fn push(&mut self, text: &str) {
        if self.keys.get(self.last).is_none_or(|last| **last != *text) {
            self.last = match self.index_of.get(text) {
                Some(index) => *index as usize,
                None => self.add(text),
            };
        }
        self.rows.push(self.last as u32);
    }

    fn add(&mut self, text: &str) -> usize {
        let index = self.keys.len();
        self.keys.push(text.into());
        self.index_of.insert(text.into(), index as u32);
        index
    }
}

impl Column for Code {
    const TYPE: &'static str = "LowCardinality(String)";

    fn bytes(&self) -> usize {
        self.rows.len()
    }

    fn write(&self, out: &mut Body) {
        let keys = self.keys.len();
        // The width of an index: 0 is one byte, 1 two, 2 four.
        let width: u64 = if keys <= 1 << 8 {
            0
        } else if keys <= 1 << 16 {
            1
        } else {
            2
        };
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        out.extend_from_slice(&(Self::HAS_ADDITIONAL_KEYS | Self::UPDATES_DICTIONARY | width).to_le_bytes());
        out.extend_from_slice(&(keys as u64).to_le_bytes());
        for key in &self.keys {
            put_text(out, key);
        }
        out.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        for index in &self.rows {
            out.extend_from_slice(&index.to_le_bytes()[..1 << width]);
        }
    }
}

/// Writes the head of a block; the columns follow in the order of the header.
pub(super) fn write_head(out: &mut Body, columns: usize, rows: usize) {
    put_varint(out, columns as u64);
    put_varint(out, rows as u64);
}

/// Writes one column with its name and type.
pub(super) fn write_column<C: Column>(out: &mut Body, name: &str, column: &C) {
    put_text(out, name);
    put_text(out, C::TYPE);
    column.write(out);
}
