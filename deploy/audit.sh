#!/usr/bin/env bash
# What tollbooth is built of: licences, doubled versions, sources and known holes of the Rust crates (deny.toml), known
# holes of the dashboard's packages.
#
# Known holes are asked of the network: of RustSec's database, or of the copy of its repository that TOLLBOOTH_ADVISORY_DB
# names, and of the npm registry. What could not be asked is said at the end, and is no failure: what is built does not
# get worse by it.
#
# Needs cargo-deny, which `deploy/local/setup.sh --audit` installs.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# Those of a lower severity are told of, and do not fail.
npm_level=moderate

cargo_deny="$("$root/deploy/local/tools.sh" path audit)/bin/cargo-deny"
if [ ! -x "$cargo_deny" ]; then
    echo "audit: $cargo_deny is missing: deploy/local/setup.sh --audit" >&2
    exit 2
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
unchecked=()

echo "audit: licences, versions and sources of the Rust crates"
deny() { "$cargo_deny" --manifest-path "$root/Cargo.toml" --locked "$@"; }
deny --config "$root/deny.toml" check --hide-inclusion-graph --deny unmatched-skip bans licenses sources

echo "audit: known holes of the Rust crates"
config="$root/deny.toml"
if [ -n "${TOLLBOOTH_ADVISORY_DB:-}" ]; then
    # Where cargo-deny looks for its copy of https://github.com/RustSec/advisory-db.
    git clone --quiet "$TOLLBOOTH_ADVISORY_DB" "$work/dbs/advisory-db-3157b0e258782691"
    config="$work/deny.toml"
    sed "s#^\[advisories\]#&\ndb-path = \"$work/dbs\"\nmaximum-db-staleness = \"P1Y\"#" "$root/deny.toml" >"$config"
    echo "audit: by $TOLLBOOTH_ADVISORY_DB of $(git -C "$TOLLBOOTH_ADVISORY_DB" log -1 --format=%cs)"
    fetch=(true)
else
    fetch=(deny --config "$config" fetch db)
fi
if "${fetch[@]}" >"$work/fetch.log" 2>&1; then
    deny --config "$config" --offline check --hide-inclusion-graph advisories
else
    tail -n 5 "$work/fetch.log" >&2
    unchecked+=("the Rust crates: RustSec's database could not be fetched")
fi

# npm_audit FOLDER
npm_audit() {
    echo "audit: known holes of the packages in $1"
    local status=0
    (cd "$root/$1" && npm audit --audit=true --audit-level="$npm_level" --json) >"$work/npm.json" 2>"$work/npm.log" || status=$?
    if ! node -e '
        const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
        if (report.metadata === undefined) process.exit(1);
        for (const { name, severity, via } of Object.values(report.vulnerabilities))
            console.log(`  ${name}: ${severity}: ${via.map((why) => why.title ?? why).join("; ")}`);
    ' "$work/npm.json" 2>/dev/null; then
        tail -n 5 "$work/npm.log" >&2
        unchecked+=("the packages in $1: the npm registry did not answer")
        return 0
    fi
    return "$status"
}
npm_audit services/query/web
npm_audit deploy/local/clickhouse

if [ ${#unchecked[@]} -gt 0 ]; then
    echo "audit: passed as far as it could be checked. Known holes were NOT checked of:"
    printf '  - %s\n' "${unchecked[@]}"
else
    echo "audit: passed"
fi
