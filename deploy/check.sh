#!/usr/bin/env bash
# Runs every check of the packaging that this machine can run, and says which it could not and what was missing.
#
#   deploy/check.sh            all of them; ends with 1 where one that ran has failed
#
# The image without a registry (`docker/check.sh --offline`) is built only as root with IMAGE=1: it takes minutes and gigabytes.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
binaries="${BINARIES:-../target/release}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
declare -a done=() skipped=() failed=()

missing() { # what of these tools is not here
    local tool
    for tool in "$@"; do command -v "$tool" >/dev/null || echo -n "$tool "; done
}
skip() { skipped+=("$1: $2"); }
run() { # name, command
    local name="$1"
    shift
    echo "== $name"
    if "$@" 2>&1 | tee "$scratch/said"; then done+=("$name"); else failed+=("$name"); fi
    # A check that went on without a part of itself says so.
    while read -r said; do skip "$name, in part" "$said"; done < <(sed -n 's/^check: \(no programs in .*\)/\1/p' "$scratch/said")
}
attempt() { # name, tools, command
    local name="$1" tools="$2" lacking
    shift 2
    # shellcheck disable=SC2086
    lacking="$(missing $tools)"
    if [ -n "$lacking" ]; then skip "$name" "${lacking% } is missing"; else run "$name" "$@"; fi
}

attempt "chart" "helm go" helm/check.sh
attempt "compose" "go" compose/check.sh
attempt "units" "systemd-analyze" systemd/check.sh
if docker info >/dev/null 2>&1; then
    run "image" docker/check.sh
elif [ "${IMAGE:-}" = 1 ] && [ "$(id -u)" = 0 ]; then
    attempt "image, without a registry" "buildah podman runc debootstrap" docker/check.sh --offline
else
    skip "image" "no docker that answers; IMAGE=1 as root builds it without a registry"
fi
if [ -x "$binaries/tollbooth-meter" ]; then
    attempt "users, grants, TLS" "python3 java openssl" security/check.py --binaries "$binaries"
else
    skip "users, grants, TLS" "no programs in $binaries (make build)"
fi

echo
for name in "${done[@]}"; do echo "checked  $name"; done
for name in "${skipped[@]}"; do echo "SKIPPED  $name"; done
for name in "${failed[@]}"; do echo "FAILED   $name"; done
[ "${#failed[@]}" = 0 ]
