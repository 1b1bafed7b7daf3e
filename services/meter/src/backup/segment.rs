//! Records in an object: gzip over messages, each with its length in front.

use std::io::{BufReader, Read as _, Write as _};

use anyhow::{Context as _, ensure};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use prost::Message;

use crate::verify::LogRecord;

/// Bytes from which on an object is closed.
const OBJECT_BYTES: usize = 4 << 20;
/// No record is larger: the topics take 2 MiB at most.
const RECORD_BYTES_MAX: u32 = 64 << 20;

/// A record as it lay in its topic.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Stored {
    #[prost(int64, tag = "1")]
    pub(super) offset: i64,
    #[prost(int64, optional, tag = "2")]
    pub(super) timestamp_ms: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) payload: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub(super) headers: Vec<StoredHeader>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct StoredHeader {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) value: Option<Vec<u8>>,
}

impl Stored {
    pub(super) fn of(record: &LogRecord<'_>) -> Self {
        let header = |(name, value): &(&str, Option<&[u8]>)| StoredHeader {
            name: (*name).to_owned(),
            value: value.map(<[u8]>::to_vec),
        };
        Self {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }

    /// The last header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().rev().find(|header| header.name == name)?;
        std::str::from_utf8(header.value.as_deref()?).ok()
    }
}

/// An object in the making.
pub(super) struct Writer {
    gzip: GzEncoder<Vec<u8>>,
    pub(super) records: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { gzip: GzEncoder::new(Vec::new(), Compression::fast()), records: 0 }
    }

    pub(super) fn push(&mut self, record: &Stored) -> anyhow::Result<()> {
        let bytes = record.encode_to_vec();
        self.gzip.write_all(&u32::try_from(bytes.len())?.to_be_bytes())?;
        self.gzip.write_all(&bytes)?;
        self.records += 1;
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.gzip.get_ref().len() >= OBJECT_BYTES
    }

    pub(super) fn finish(self) -> anyhow::Result<(Vec<u8>, u64)> {
        Ok((self.gzip.finish()?, self.records))
    }
}

/// The records of an object, one after the other.
pub(super) struct Reader {
    gzip: BufReader<GzDecoder<std::io::Cursor<bytes::Bytes>>>,
    left: u64,
}

impl Reader {
    pub(super) fn new(object: bytes::Bytes, records: u64) -> Self {
        let decoder = GzDecoder::new(std::io::Cursor::new(object));
        Self { gzip: BufReader::with_capacity(64 << 10, decoder), left: records }
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Stored>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.gzip.read_exact(&mut length).context("an object ends before its records")?;
        let length = u32::from_be_bytes(length);
        ensure!(length <= RECORD_BYTES_MAX, "a record of {length} bytes");
        let mut bytes = vec![0; usize::try_from(length)?];
        self.gzip.read_exact(&mut bytes).context("an object ends within a record")?;
        self.left -= 1;
        Ok(Some(Stored::decode(bytes.as_slice())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_as_they_were_null_and_empty_apart() {
        let header = |value: Option<&[u8]>| StoredHeader { name: "h".to_owned(), value: value.map(<[u8]>::to_vec) };
        let stored = [
            Stored { offset: 7, timestamp_ms: Some(5), key: None, payload: None, headers: Vec::new() },
            Stored {
                offset: 9,
                timestamp_ms: None,
                key: Some(Vec::new()),
                payload: Some(b"x".to_vec()),
                headers: vec![header(None), header(Some(b"last"))],
            },
        ];
        let mut writer = Writer::new();
        for record in &stored {
            writer.push(record).unwrap();
        }
        let (bytes, records) = writer.finish().unwrap();
        let mut reader = Reader::new(bytes.clone().into(), records);
        assert_eq!(reader.next().unwrap().as_ref(), Some(&stored[0]));
        assert_eq!(reader.next().unwrap().as_ref(), Some(&stored[1]));
        assert_eq!(reader.next().unwrap(), None);
        assert_eq!(stored[1].header("h"), Some("last"));
        // More records than there are is no end, but damage.
        let mut reader = Reader::new(bytes.into(), 3);
        assert!((0..3).map(|_| reader.next()).any(|read| read.is_err()));
    }
}
