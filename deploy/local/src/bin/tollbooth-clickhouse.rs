//! Runs the ClickHouse server that a shared library holds: `tollbooth-clickhouse LIBRARY ARG...`, where the arguments
//! are ClickHouse's own, its name first. Ends when the server does.
//!
//! A process of its own, because the library takes over signal handlers, threads and memory of the one it is in.
#![allow(unsafe_code)]

use std::env;
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// The beginning of the library's result struct, up to the last field that is read here.
#[repr(C)]
struct QueryResult {
    buffer: *mut c_char,
    length: usize,
    owner: *mut std::ffi::c_void,
    elapsed_seconds: f64,
    rows_read: u64,
    bytes_read: u64,
    error_message: *mut c_char,
}

type QueryStable = unsafe extern "C" fn(c_int, *const *const c_char) -> *mut QueryResult;

fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("tollbooth-clickhouse: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = OsString>) -> Result<(), String> {
    let path = args.next().ok_or("usage: tollbooth-clickhouse LIBRARY clickhouse ARG...")?;
    let args: Vec<CString> =
        args.map(|arg| CString::new(arg.into_vec()).map_err(|e| e.to_string())).collect::<Result<_, _>>()?;
    let argv: Vec<*const c_char> = args.iter().map(|arg| arg.as_ptr()).collect();
    let argc = c_int::try_from(argv.len()).map_err(|e| e.to_string())?;

    // On a machine without a core to spare the projection falls behind and catches up; debits do not wait for it.
    // SAFETY: takes plain integers; on Linux 0 is this thread, and the server's threads start with its priority.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) };

    // SAFETY: the library's initialisers are those of a server that is made to be loaded; the file was fetched by its
    // pinned version and checksum.
    let library = unsafe { libloading::Library::new(&path) }.map_err(|e| e.to_string())?;
    // SAFETY: the pinned version exports this function with this C signature.
    let query = unsafe { library.get::<QueryStable>(b"query_stable_v2\0") }.map_err(|e| e.to_string())?;
    // SAFETY: `argv` holds `argc` pointers to NUL-terminated strings that live in `args` until after the call.
    let result = unsafe { query(argc, argv.as_ptr()) };
    // SAFETY: the result is null or points to a struct that begins as declared; it is never freed here.
    let Some(result) = (unsafe { result.as_ref() }) else {
        return Err("the library gave no result".to_owned());
    };
    if result.error_message.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null message is a NUL-terminated string that belongs to the result.
    let message = unsafe { CStr::from_ptr(result.error_message) };
    Err(message.to_string_lossy().into_owned())
}
