#!/usr/bin/env bash
# Holds the running services against what is published of them, by a tool that knows neither: Schemathesis reads the
# OpenAPI document of query and makes requests of it, right ones and wrong ones; no answer may be one that the document does
# not name, or look other than it says. ingest publishes no such document: its events are made of their JSON Schema.
#
#   tests/conformance.sh [EXAMPLES]    most requests of a kind for each operation, 50
#
# It starts a stack of its own on free ports and stops it again. TOLLBOOTH_CONFORMANCE_SEED is the seed of a run, by default
# another one each time; it is printed. Ends with 1 where something was found. The last line sums up.
#
# Needs the built services (TARGET/PROFILE, by default target/debug: `cargo build --workspace --all-targets`) and
# Schemathesis, which `deploy/local/setup.sh --conformance` installs.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
examples="${1:-50}"
seed="${TOLLBOOTH_CONFORMANCE_SEED:-$RANDOM}"
local_bin="${CARGO_TARGET_DIR:-$root/target}/${TOLLBOOTH_CONFORMANCE_PROFILE:-debug}/tollbooth-local"
schemathesis="$("$root/deploy/local/tools.sh" path conformance)/bin/schemathesis"
for program in "$local_bin" "$schemathesis"; do
    if [ ! -x "$program" ]; then
        echo "conformance: $program is missing: cargo build --workspace --all-targets, deploy/local/setup.sh --conformance" >&2
        exit 2
    fi
done

work="$(mktemp -d)"
stop() {
    "$local_bin" down --dir "$work/stack" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap stop EXIT

# Ports that nobody has, below those that the kernel gives to outgoing connections.
read -r ingest query ingest_ops meter_ops query_ops sink_ops effects_ops < <(python3 - <<'PORTS'
import random, socket
found = {}
while len(found) < 7:
    port = random.randrange(15000, 30000)
    try:
        found.setdefault(port, socket.create_server(("127.0.0.1", port)))
    except OSError:
        pass
print(*found)
PORTS
)
export TOLLBOOTH_INGEST__LISTEN="127.0.0.1:$ingest" TOLLBOOTH_QUERY__LISTEN="127.0.0.1:$query"
export TOLLBOOTH_INGEST__OPS_LISTEN="127.0.0.1:$ingest_ops" TOLLBOOTH_QUERY__OPS_LISTEN="127.0.0.1:$query_ops"
export TOLLBOOTH_METER__OPS_LISTEN="127.0.0.1:$meter_ops" TOLLBOOTH_METER__SINK_OPS_LISTEN="127.0.0.1:$sink_ops"
export TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN="127.0.0.1:$effects_ops"
# A refusal for coming too often would hide what the answer is, and a wait for an entry that never comes takes its time.
export TOLLBOOTH_QUERY__RATE__REQUESTS_PER_SECOND=0 TOLLBOOTH_QUERY__SESSION__FAILURES_PER_MINUTE_MAX=1000000
export TOLLBOOTH_QUERY__LIVE__MIN_SEQ_WAIT_MS=20

echo "conformance: TOLLBOOTH_CONFORMANCE_SEED=$seed; starting a stack"
"$local_bin" up --detach --rate 0 --history-events 2000 --accounts 2 --dir "$work/stack" >"$work/up.log" 2>&1 || {
    tail -n 30 "$work/up.log" >&2
    exit 1
}
set -a
# shellcheck disable=SC1091 # the stack wrote it
. "$work/stack/demo.env"
set +a
TOLLBOOTH_ADMIN="$(cat "$work/stack/admin.key")"

# The word behind NAME in what is read.
field() { python3 -c 'import re, sys; print(re.search(sys.argv[1] + r"[^\w]*([\w.-]+)", sys.stdin.read())[1])' "$1"; }
# ask KEY PATH CURL-ARGUMENTS...
ask() { curl -fsS -H "Authorization: Bearer $1" "${@:3}" "$TOLLBOOTH_QUERY_URL$2"; }

# What the routes are about that are about one thing: an event of the history, a browser's session, a dead letter.
TOLLBOOTH_EVENT_ID="$(ask "$TOLLBOOTH_ACCOUNT_KEY" "/v1/accounts/$TOLLBOOTH_ACCOUNT_ID/events?limit=1" | field event_id)"
TOLLBOOTH_SESSION="$(curl -fsS -D - -o /dev/null -H 'Content-Type: application/json' -d "{\"key\": \"$TOLLBOOTH_ACCOUNT_KEY\"}" \
    "$TOLLBOOTH_QUERY_URL/v1/session" | field tollbooth_session)"
curl -fsS -o /dev/null -H "Authorization: Bearer $TOLLBOOTH_BOOTH_KEY" -H 'Content-Type: application/cloudevents+json' -d @- \
    "$TOLLBOOTH_INGEST_URL/v1/events" <<EVENT
{"specversion": "1.0", "id": "unpriced", "source": "/booths/bth_conformance", "type": "tollbooth.usage.v1",
 "subject": "$TOLLBOOTH_ACCOUNT_ID", "time": "$(date -u +%FT%TZ)",
 "data": {"operation_id": "unpriced", "booth_id": "bth_conformance", "service": "ai_modify", "engine": "not_priced",
          "unit": "image", "quantity": "1", "status": "success"}}
EVENT
for _ in {1..100}; do
    if TOLLBOOTH_LETTER_ID="$(ask "$TOLLBOOTH_ADMIN" '/v1/dead-letters?limit=1' | field '"id"' 2>/dev/null)"; then break; fi
    sleep 0.1
done
export TOLLBOOTH_ADMIN TOLLBOOTH_EVENT_ID TOLLBOOTH_SESSION TOLLBOOTH_LETTER_ID

# run CONFIG-SUFFIX DOCUMENT URL
run() {
    local config="$root/tests/conformance-$1.toml" document="$2" url="$3"
    (cd "$work" && "$schemathesis" --no-color --config-file "$config" run "$document" --url "$url" --seed "$seed" \
        --max-examples "$examples" --request-timeout 30 --generation-database none --continue-on-failure \
        --report json --report-json-path "$work/$1.json")
}

status=0
echo "conformance: query"
run query "$root/services/query/openapi.json" "$TOLLBOOTH_QUERY_URL" || status=1

echo "conformance: ingest"
python3 "$root/tests/conformance_events.py" "$root/schemas/json/usage-event.schema.json" >"$work/events.json"
run ingest "$work/events.json" "$TOLLBOOTH_INGEST_URL" || status=1

python3 - "$seed" "$work"/{query,ingest}.json <<'SUMMARY'
import json, sys
tests = [json.load(open(path))["test_cases"] for path in sys.argv[2:]]
requests = sum(test["generated"] for test in tests)
findings = sum(test["unique_failures"] + test["errored"] for test in tests)
print(f"conformance: {requests} requests, {findings} findings, TOLLBOOTH_CONFORMANCE_SEED={sys.argv[1]}")
SUMMARY
exit "$status"
