#!/usr/bin/env bash
# Checks what Prometheus and Grafana are given: the rules and their tests with promtool, that each alert has its page and
# each page its alert, that every metric a rule or a dashboard names is one that exists (docs/metrics.md), and that the dashboard
# an alert links to shows what the alert is about.
#
#   deploy/prometheus/check.sh [--scrape URL...]   with addresses, also what running processes expose
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rules=deploy/prometheus
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
failed=no

fail() {
    echo "check: $*" >&2
    failed=yes
}

if ! command -v promtool >/dev/null; then
    echo "check: promtool is missing. Debian, Ubuntu: deploy/local/setup.sh --tests" >&2
    exit 1
fi

promtool check rules "$rules"/*.rules.yml >"$scratch/out" || { cat "$scratch/out" >&2; fail "promtool refuses a rule"; }
promtool check config --syntax-only "$rules/prometheus.yml" >"$scratch/out" ||
    { cat "$scratch/out" >&2; fail "promtool refuses $rules/prometheus.yml"; }
# The ones with shorter windows are rules, too, and no window or limit is left as it was. By 60 hours would become minutes, which
# look like some that were left.
"$rules/faster.sh" 50 "$scratch/faster"
promtool check rules "$scratch"/faster/*.rules.yml >"$scratch/out" || { cat "$scratch/out" >&2; fail "faster.sh makes no rules"; }
if grep -nE '\[[0-9]+[smhd]\]|for: [0-9]+[mhd]$|\* (60|3600)\b' "$scratch"/faster/*.rules.yml >&2; then
    fail "faster.sh left a window or a limit as it was"
fi

# The tests compare labels. Without the annotations they need not repeat every sentence.
mkdir "$scratch/tests"
for file in "$rules"/*.rules.yml; do
    awk '/^ *annotations:$/ { skip = match($0, /[^ ]/); next }
         skip && match($0, /[^ ]/) <= skip { skip = 0 }
         !skip' "$file" >"$scratch/$(basename "$file")"
done
cp "$rules"/tests/*.test.yml "$scratch/tests/"
promtool test rules "$scratch"/tests/*.test.yml >"$scratch/out" 2>&1 || { cat "$scratch/out" >&2; fail "a test of the rules failed"; }

alerts="$(sed -n 's/^ *- alert: //p' "$rules"/*.rules.yml | sort -u)"
for alert in $alerts; do
    [ -f "docs/runbooks/$alert.md" ] || fail "$alert has no page docs/runbooks/$alert.md"
    grep -q "^  - name: $alert fires" "$rules"/tests/*.test.yml || fail "no test says when $alert fires"
    [ "$alert" = Watchdog ] || grep -q "^  - name: $alert stays silent" "$rules"/tests/*.test.yml ||
        fail "no test says when $alert stays silent"
done
for page in docs/runbooks/*.md; do
    name="$(basename "$page" .md)"
    [ "$name" = README ] || grep -qx "$name" <<<"$alerts" || fail "$page is of no alert"
    grep -q "($name.md)" docs/alerts.md || [ "$name" = README ] || grep -q "runbooks/$name.md" docs/alerts.md ||
        fail "docs/alerts.md does not list $name"
done
for uid in $(sed -n 's/^ *dashboard_url: \/d\///p' "$rules"/*.rules.yml | sort -u); do
    grep -ql "\"uid\": \"$uid\"" deploy/grafana/dashboards/*.json || fail "there is no dashboard $uid"
done

# What is known: the generated tables, what they list of others, and what the rules record.
known="$scratch/known"
{
    sed -n 's/^| `\([a-z0-9_]*\)` | \(counter\|gauge\) .*/\1/p' docs/metrics.md
    sed -n 's/^| `\([a-z0-9_]*\)` | histogram .*/\1_bucket\n\1_sum\n\1_count/p' docs/metrics.md
    sed -n 's/^ *- record: //p' "$rules"/*.rules.yml
} | sort -u >"$known"
# Expressions only: a sentence may name a metric by its stem.
{
    awk '/^ *expr: / { print; block = match($0, /[^ ]/); next } block && match($0, /[^ ]/) > block { print; next } { block = 0 }' \
        "$rules"/*.rules.yml
    sed -n 's/^ *"expr": //p; s/^ *"query": //p' deploy/grafana/dashboards/*.json
    # What a page tells to look at stands in backquotes; a word before a hyphen is a program.
    grep -ohE '`[^`]*`' docs/runbooks/*.md | sed 's/tollbooth-[a-z]*//g'
} | grep -oE '\b(tollbooth[a-z_:0-9]*|process_[a-z_]+|node_[a-z_]+|probe_[a-z_]+)\b' | grep -vE '^tollbooth$' | sort -u >"$scratch/named"
while read -r name; do
    # Names of jobs and consumer groups stand in quotes, with a hyphen behind the word.
    grep -qx "$name" "$known" || fail "$name is named by a rule, a dashboard or a page and stands in no table of docs/metrics.md"
done < <(grep -E '_|:' "$scratch/named")

node "$rules/shown.mjs" "$known" || fail "an alert links to a dashboard that does not show what it is about"

# Every query of a dashboard as a rule, so that promtool reads it. JSON is YAML.
for file in deploy/grafana/dashboards/*.json; do
    node -e '
        const board = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
        const queries = board.panels.flatMap((panel) => (panel.targets ?? []).map((target) => target.expr));
        const rules = queries.map((expr, at) => ({ record: `query_${at}`, expr: expr.replaceAll("$__rate_interval", "5m") }));
        console.log(JSON.stringify({ groups: [{ name: board.uid, rules }] }));
    ' "$file" >"$scratch/queries.yml" || { fail "$file is no dashboard"; continue; }
    promtool check rules "$scratch/queries.yml" >"$scratch/out" || { cat "$scratch/out" >&2; fail "a query of $file"; }
done

if [ "${1:-}" = --scrape ]; then
    shift
    for url in "$@"; do
        curl -sf "$url/metrics" >"$scratch/scrape" || { fail "$url/metrics does not answer"; continue; }
        promtool check metrics <"$scratch/scrape" || fail "promtool refuses what $url exposes"
        sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' "$scratch/scrape" | while read -r name; do
            grep -q "^| \`$name\` |" docs/metrics.md || { echo "$url exposes $name, which docs/metrics.md does not have"; }
        done >"$scratch/unknown"
        [ ! -s "$scratch/unknown" ] || { cat "$scratch/unknown" >&2; fail "undocumented metrics"; }
    done
fi

[ "$failed" = no ] || exit 1
echo "check: $(wc -w <<<"$alerts") alerts, $(grep -c '' "$known") metrics, $(ls deploy/grafana/dashboards/*.json | wc -l) dashboards: all in order"
