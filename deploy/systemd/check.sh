#!/usr/bin/env bash
# Reads the units as systemd does: every directive is known, and what a process may still do is little. Nothing is installed:
# the programs are stand-ins, in a copy of the tree that systemd is shown.
#
#   deploy/systemd/check.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# systemd-analyze's measure: 0.0 is nothing, 10.0 everything; below 3 it says OK.
exposure_max=1.7
command -v systemd-analyze >/dev/null || { echo "check: systemd-analyze is missing" >&2; exit 1; }
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/units" "$scratch/bin"
for unit in *.service; do
    # The programs are looked for where the units say; here they are installed nowhere.
    sed "s|/usr/bin/tollbooth-|$scratch/bin/tollbooth-|" "$unit" >"$scratch/units/$unit"
    for program in $(grep -o "$scratch/bin/tollbooth-[a-z]*" "$scratch/units/$unit" | sort -u); do ln -sf /bin/true "$program"; done
done
failed=no
for unit in "$scratch"/units/*.service; do
    name="$(basename "$unit")"
    # It says nothing where nothing is wrong, and ends with 0 for a directive that it does not know.
    said="$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F "$name" || true)"
    [ -z "$said" ] || { echo "$said" >&2; failed=yes; }
    exposure="$(systemd-analyze security --offline=yes "$unit" 2>/dev/null | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\) .*/\1/p')"
    if [ -z "$exposure" ] || awk "BEGIN { exit !($exposure > $exposure_max) }"; then
        echo "check: $name is exposed by ${exposure:-an unknown measure}, at most $exposure_max is meant" >&2
        failed=yes
    fi
    echo "$name: in order, exposure ${exposure:-?}"
done
# A program knows the subcommand that its unit starts.
for unit in *.service; do
    grep -qE '^ExecStart=/usr/bin/tollbooth-(ingest (serve|effects)|meter (run|sink)|query serve) --config /etc/tollbooth/[a-z]+\.toml$' "$unit" ||
        { echo "check: $unit starts nothing that there is" >&2; failed=yes; }
done
[ "$failed" = no ] || exit 1
echo "check: the units are in order"
