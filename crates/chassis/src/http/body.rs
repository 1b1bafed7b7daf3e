//! Reading request bodies within a bound that holds for the unpacked size.

use std::io::Read;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::problem::Problem;

/// Packed bodies above this are unpacked off the event loop: 64 KiB may unfold to megabytes.
const INLINE_PACKED_BYTES_MAX: usize = 64 * 1024;
/// How much is unpacked before room for it is asked for.
const UNPACK_STEP_BYTES: u64 = 64 * 1024;

/// How much body a request may have, and until when it must have arrived. The server puts one into every request; a
/// handler may tighten it and call [`read_body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit {
    /// Bytes after unpacking.
    pub bytes_max: usize,
    /// When the last byte must be here.
    pub deadline: Option<Instant>,
}

/// Where the bytes of a body are accounted for while they arrive and unfold. A body is refused where there is no room:
/// nobody can say in advance how large a packed or a chunked one is.
pub trait Room: Send + 'static {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// The answer to the request, when there is no room.
    fn take(&mut self, bytes: usize) -> Result<(), Problem>;
}

/// Room that never ends: the body's own limit is the only one.
#[derive(Debug, Clone, Copy)]
pub struct Unbounded;

impl Room for Unbounded {
    fn take(&mut self, _: usize) -> Result<(), Problem> {
        Ok(())
    }
}

/// The whole body, unpacked, as it was sent otherwise.
#[derive(Debug, Clone)]
pub struct RawBody(pub Bytes);

/// A JSON body. 415 unless `Content-Type` is JSON, 400 with position for what does not parse.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let limit = request
            .extensions()
            .get::<BodyLimit>()
            .copied()
            .unwrap_or(BodyLimit { bytes_max: super::HttpLimits::default().body_bytes_max, deadline: None });
        let (parts, body) = request.into_parts();
        read_body(&parts.headers, body, limit).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type("expected Content-Type: application/json"));
        }
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::malformed(error.to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// Reads a body, unpacking gzip; at most `limit.bytes_max` bytes, packed or unpacked.
///
/// # Errors
/// `too_large`, `unsupported_media_type` for another `Content-Encoding`, `request_timeout`, `malformed` for a broken
/// stream.
pub async fn read_body(headers: &HeaderMap, body: Body, limit: BodyLimit) -> Result<Bytes, Problem> {
    read_body_into(headers, body, limit, Unbounded).await.map(|(bytes, Unbounded)| bytes)
}

/// As [`read_body`], and every byte is taken from `room`, which comes back with the body. While a packed body is
/// unpacked, both forms are in memory and both are taken.
///
/// # Errors
/// Those of [`read_body`], and what `room` answers.
pub async fn read_body_into<R: Room>(
    headers: &HeaderMap,
    body: Body,
    limit: BodyLimit,
    mut room: R,
) -> Result<(Bytes, R), Problem> {
    let is_gzip = match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"" | b"identity") => false,
        Some(value) if value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip") => true,
        Some(_) => return Err(Problem::unsupported_media_type("Content-Encoding may be gzip or identity")),
    };
    let collected = collect(body, limit.bytes_max, &mut room);
    let bytes = match limit.deadline {
        None => collected.await?,
        Some(deadline) => tokio::time::timeout_at(deadline, collected)
            .await
            .map_err(|_| Problem::request_timeout("the body did not arrive in time"))??,
    };
    if !is_gzip {
        return Ok((bytes, room));
    }
    let is_small = bytes.len() <= INLINE_PACKED_BYTES_MAX;
    let unpack = move || gunzip(&bytes, limit.bytes_max, &mut room).map(|unpacked| (unpacked, room));
    if is_small {
        return unpack();
    }
    tokio::task::spawn_blocking(unpack).await.map_err(Problem::internal)?
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::too_large(format!("the body may have {bytes_max} bytes after unpacking"))
}

async fn collect(mut body: Body, bytes_max: usize, room: &mut impl Room) -> Result<Bytes, Problem> {
    // A declared length beyond the bound is refused before a byte of it is read.
    let declared = body.size_hint();
    if declared.lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        room.take(data.len())?;
        match first.take() {
            // A small body arrives in one frame and is passed on without a copy.
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(before) => {
                let expected = usize::try_from(declared.exact().unwrap_or(0)).unwrap_or(0);
                all.reserve(expected.max(before.len() + data.len()));
                all.extend_from_slice(&before);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

fn gunzip(packed: &[u8], bytes_max: usize, room: &mut impl Room) -> Result<Bytes, Problem> {
    let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(4).min(bytes_max));
    // One byte more than allowed tells "exactly at the bound" from "beyond it" and ends a bomb there.
    let mut reader = MultiGzDecoder::new(packed).take(bytes_max as u64 + 1);
    loop {
        let step = reader.by_ref().take(UNPACK_STEP_BYTES).read_to_end(&mut unpacked);
        let read = step.map_err(|_| Problem::malformed("the body is not valid gzip"))?;
        if read == 0 {
            return Ok(Bytes::from(unpacked));
        }
        if unpacked.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        room.take(read)?;
    }
}
