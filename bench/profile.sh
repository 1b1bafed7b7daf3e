#!/usr/bin/env bash
# Where the meter's time goes while it drains a backlog: perf samples it, what is kept is a text summary in bench/profiles.
#
#   bench/profile.sh [ARGUMENTS OF tollbooth-bench]     e.g. --backlog 2000000 --warm-up 240 --store true
#
# One file for each backlog: `debits-hot.txt` of one account, `debits-many.txt` of ten thousand. The figures of such a run are
# lower than without a profile; they stand in target/profile.json and nowhere else. Needs `make build` and the bench program
# (`cargo build --release -p tollbooth-bench` beside it), and perf (Debian: apt-get install linux-perf).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target="${CARGO_TARGET_DIR:-target}"
bench="$target/release/tollbooth-bench"
frequency_hz="${FREQUENCY_HZ:-997}"
lines_max="${LINES_MAX:-45}"
kept=bench/profiles
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

if ! command -v perf >/dev/null; then
    echo "profile: perf is missing. Debian, Ubuntu: apt-get install linux-perf (linux-tools-generic)" >&2
    exit 2
fi
if [ ! -x "$bench" ]; then
    echo "profile: $bench is missing: make build && cargo build --release -p tollbooth-bench" >&2
    exit 2
fi
# A virtual machine often has no counters of the processor: its clock does then.
event=cycles
perf stat -e cycles:u true >"$scratch/stat" 2>&1 || event=cpu-clock
if grep -q "not supported" "$scratch/stat"; then event=cpu-clock; fi
if ! perf record -q -e "$event" -o "$scratch/try" true >"$scratch/said" 2>&1; then
    echo "profile: perf may not record here (/proc/sys/kernel/perf_event_paranoid is" \
        "$(cat /proc/sys/kernel/perf_event_paranoid)):" >&2
    cat "$scratch/said" >&2
    exit 2
fi

# Meters by their own children's list: `run` drains, `verify` is another process of the same name.
meters() { # process of the bench
    local pid
    for pid in $(pgrep -P "$1" -x tollbooth-meter || true); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ' run '; then echo "$pid"; fi
    done
}

"$bench" --only debits --runs 1 --out "$target/profile.json" "$@" >"$scratch/bench.log" 2>&1 &
running=$!
trap 'kill "$running" 2>/dev/null || true; rm -rf "$scratch"' EXIT
declare -A seen=()
while kill -0 "$running" 2>/dev/null; do
    for meter in $(meters "$running"); do
        # The warm-up's meter is watched by nobody: it drains no backlog.
        if [ -n "${seen[$meter]:-}" ]; then continue; fi
        seen[$meter]=1
        name="$(tr '\0' '\n' <"/proc/$meter/environ" 2>/dev/null | sed -n 's/^CLICKHOUSE_DATABASE=//p')"
        case "$name" in
        hot0 | many0)
            # Ends with the meter.
            perf record -q -F "$frequency_hz" -e "$event" -p "$meter" -o "$scratch/$name.data" \
                >"$scratch/$name.log" 2>&1 || true
            ;;
        esac
    done
    sleep 0.02
done
wait "$running" || {
    cat "$scratch/bench.log" >&2
    exit 1
}

rate() { sed -n "s/^  $1: \([0-9]*\/s over [0-9.]* s\).*/\1/p" "$scratch/bench.log" | head -n 1; }
# The table without colours, headers and the lines that are empty.
report() { # data file, further arguments
    local data="$1"
    shift
    perf report --stdio --no-children -g none --percent-limit 0.4 -i "$data" "$@" 2>/dev/null |
        grep -v '^#' | sed '/^ *$/d; s/ *$//' | head -n "$lines_max"
}
mkdir -p "$kept"
for name in hot0 many0; do
    data="$scratch/$name.data"
    if [ ! -s "$data" ]; then
        echo "profile: $name was not sampled" >&2
        exit 1
    fi
    out="$kept/debits-${name%0}.txt"
    {
        echo "The meter over a backlog (${name%0}), its start, the drain, the sink and the wait for the end included."
        echo "commit $(git describe --always --dirty --exclude='*'), $(date -u +%Y-%m-%d), $(nproc) cores," \
            "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1); perf, $event, $frequency_hz Hz;" \
            "$(rate "$name") with the profile; arguments: ${*:-none}"
        echo
        echo "by thread"
        report "$data" --sort comm
        echo
        echo "by library"
        report "$data" --sort dso
        echo
        echo "by function"
        report "$data" --sort symbol
    } >"$out"
    echo "written to $out"
done
