#!/usr/bin/env bash
# Loads compose.yml by docker compose's own library: the schema, every reference, what each process may do; with built programs
# also that each takes its environment. Starts nothing. Needs Go.
#
#   deploy/compose/check.sh [BINARIES]      target/release where that is there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
command -v go >/dev/null || { echo "check: go is missing" >&2; exit 1; }
binaries="${1:-../../target/release}"
if [ -x "$binaries/tollbooth-meter" ]; then binaries="$(realpath "$binaries")"; else
    echo "check: no programs in $binaries, their environment is not looked at" >&2
    binaries=
fi
checker="$(mktemp)"
trap 'rm -f "$checker"' EXIT
(cd check && go build -o "$checker" .)
"$checker" -binaries "$binaries" compose.yml
# What Prometheus is told there names every process and every file of rules.
for file in ../prometheus/*.rules.yml; do
    grep -q "/etc/prometheus/rules/$(basename "$file")\$" prometheus.yml || { echo "check: prometheus.yml loads no $(basename "$file")" >&2; exit 1; }
done
for process in ingest meter query sink effects; do
    grep -q "job_name: tollbooth-$process\$" prometheus.yml || { echo "check: prometheus.yml reads nothing of $process" >&2; exit 1; }
done
if command -v promtool >/dev/null; then promtool check config --syntax-only prometheus.yml >/dev/null; fi
echo "check: the compose file is in order"
