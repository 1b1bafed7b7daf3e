#!/usr/bin/env bash
# The dashboard's tests in a real Chromium over the real stack.
#
#   run.sh [--keep] [FILTER...]     starts a stack of its own on free ports, runs, stops it again
#   TOLLBOOTH_E2E_ENV=.local/demo.env run.sh [FILTER...]     over a stack that runs already
#
# Needs the built services (cargo build --workspace), the built dashboard (npm run build) and Chromium. `--keep` leaves the
# stack's folder behind. The last line is `N passed, N failed`.
set -euo pipefail

web="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
root="$(cd "$web/../../.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"
profile="${TOLLBOOTH_E2E_PROFILE:-debug}"
local_bin="$target/$profile/tollbooth-local"

keep=
if [ "${1:-}" = --keep ]; then
    keep=yes
    shift
fi

chromium="${TOLLBOOTH_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}"
if [ -z "$chromium" ]; then
    echo "e2e: no Chromium found: apt-get install chromium, or set TOLLBOOTH_CHROMIUM" >&2
    exit 2
fi
[ -d "$web/node_modules" ] || (cd "$web" && npm ci --no-audit --no-fund)
[ -f "$web/dist/index.html" ] || (cd "$web" && npm run build)

dir=
stop() {
    [ -n "$dir" ] || return 0
    "$local_bin" down --dir "$dir" >/dev/null 2>&1 || true
    if [ -n "$keep" ]; then echo "e2e: the stack's folder is $dir"; else rm -rf "$dir"; fi
    dir=
}
trap stop EXIT

# Ports that nobody has, below those that the kernel gives to outgoing connections: one of these could take a port between
# this look and the service that wants it.
free_ports() {
    node -e '
const net = require("node:net");
const tryPort = (port) => new Promise((done) => {
  const server = net.createServer().on("error", () => done(null));
  server.listen(port, "127.0.0.1", () => server.close(() => done(port)));
});
(async () => {
  const found = new Set();
  while (found.size < Number(process.argv[1])) {
    const port = await tryPort(15000 + Math.floor(Math.random() * 15000));
    if (port !== null) found.add(port);
  }
  console.log([...found].join(" "));
})();' "$1"
}

env_file="${TOLLBOOTH_E2E_ENV:-}"
if [ -z "$env_file" ]; then
    [ -x "$local_bin" ] || {
        echo "e2e: $local_bin is missing: cargo build --workspace" >&2
        exit 2
    }
    dir="$(mktemp -d)"
    read -r ingest query ingest_ops meter_ops query_ops sink_ops effects_ops <<<"$(free_ports 7)"
    export TOLLBOOTH_INGEST__LISTEN="127.0.0.1:$ingest" TOLLBOOTH_QUERY__LISTEN="127.0.0.1:$query"
    export TOLLBOOTH_INGEST__OPS_LISTEN="127.0.0.1:$ingest_ops" TOLLBOOTH_QUERY__OPS_LISTEN="127.0.0.1:$query_ops"
    export TOLLBOOTH_METER__OPS_LISTEN="127.0.0.1:$meter_ops" TOLLBOOTH_METER__SINK_OPS_LISTEN="127.0.0.1:$sink_ops"
    export TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN="127.0.0.1:$effects_ops"
    # A test waits for what it reported, not for an answer about all accounts to be forgotten.
    export TOLLBOOTH_QUERY__ANSWERS__FLEET_FRESH_MS=0
    export TOLLBOOTH_QUERY__DASHBOARD__DIR="${TOLLBOOTH_QUERY__DASHBOARD__DIR:-$web/dist}"
    # e2e/frame.test.ts shows widgets in a site of this name.
    export TOLLBOOTH_QUERY__DASHBOARD__EMBED_ANCESTORS="http://localhost:*"
    # A test waits for a turn of the drift watch.
    export TOLLBOOTH_METER__SINK__DRIFT_INTERVAL_MS=500
    echo "e2e: starting a stack in $dir"
    "$local_bin" up --detach --rate 0 --history-events 0 --accounts 1 --dir "$dir" >"$dir.log" 2>&1 || {
        tail -n 30 "$dir.log" >&2
        exit 1
    }
    rm -f "$dir.log"
    env_file="$dir/demo.env"
fi

set -a
# shellcheck disable=SC1090 # the stack wrote it
. "$env_file"
set +a
export TOLLBOOTH_CHROMIUM="$chromium" TOLLBOOTH_E2E_METER="$target/$profile/tollbooth-meter"
export TOLLBOOTH_E2E_INGEST="$target/$profile/tollbooth-ingest"

results="$(mktemp)"
status=0
(cd "$web" && npx vitest run --config e2e/vitest.config.ts --reporter=default --reporter=json --outputFile.json="$results" "$@") || status=$?
stop
node -e '
const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
console.log(`${numPassedTests} passed, ${numFailedTests} failed${numPendingTests > 0 ? `, ${numPendingTests} skipped` : ""}`);
' "$results" || status=1
rm -f "$results"
exit "$status"
