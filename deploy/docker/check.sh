#!/usr/bin/env bash
# Builds the image, has every process of it say its help and its configuration as it is meant to run (not as root, nothing
# writable, no rights), starts ingest, the meter and query so, and asks these for their health.
#
#   deploy/docker/check.sh               the Dockerfile as it is, with docker or podman and an image registry
#   deploy/docker/check.sh --offline     without a registry: on a Debian made by debootstrap, with the machine's own Node and the
#                                        programs in --binaries DIR (target/release). Needs root, buildah, podman, runc and debootstrap
#   deploy/docker/check.sh --image NAME  only starts an image that is there
#
# What --offline does not prove, it says at the end.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
work="${TOLLBOOTH_IMAGE_DIR:-/var/tmp/tollbooth-image}"
image=tollbooth:check
binaries="$root/target/release"
offline=no build=yes
while [ $# -gt 0 ]; do
    case "$1" in
    --offline) offline=yes ;;
    --binaries) binaries="$(realpath "${2:?}")" && shift ;;
    --image) image="${2:?}" build=no && shift ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done

fail() {
    echo "check: $*" >&2
    exit 1
}
need() { command -v "$1" >/dev/null || fail "$1 is missing${2:+ ($2)}"; }
ok() { echo "  ok  $*"; }

if [ "$offline" = yes ] || ! docker info >/dev/null 2>&1; then engine=podman; else engine=docker; fi
need "$engine" "apt-get install podman"

# --- building

# A Debian as the registry's image of that name has it: nothing but what is essential, and apt.
make_debian() {
    [ -e "$work/debian.tar" ] && return
    need debootstrap
    echo "debootstrap: a minute"
    rm -rf "$work/debian"
    debootstrap --variant=minbase bookworm "$work/debian" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 5 "$work/debootstrap.log" >&2 && fail "debootstrap failed"; }
    rm -rf "$work/debian"/var/cache/apt/archives/*.deb "$work/debian"/var/lib/apt/lists/*
    tar -C "$work/debian" -cf "$work/debian.tar.part" . && mv "$work/debian.tar.part" "$work/debian.tar"
    rm -rf "$work/debian"
}

# stand_in NAME [FUNCTION]: an image under the name that the Dockerfile asks for; the function puts further files into its root.
stand_in() {
    local container mounted
    container="$(buildah from scratch)"
    mounted="$(buildah mount "$container")"
    tar -C "$mounted" -xf "$work/debian.tar"
    if [ -n "${2:-}" ]; then "$2" "$mounted"; fi
    buildah config --cmd /bin/bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    # The authorities that this machine trusts, where its way to the registry of packages is looked into.
    [ "${2:-}" != with_node ] || buildah config --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
    buildah umount "$container" >/dev/null
    buildah commit -q --rm "$container" "$1" >/dev/null
}

# The libraries that a program of this machine needs, beside it.
copy_with_libraries() {
    local target="$1" library
    shift
    for file in "$@"; do
        cp --parents -L "$file" "$target"
        while read -r library; do
            [ -e "$target$library" ] || cp --parents -L "$library" "$target"
        done < <(ldd "$file" | grep -o '/[^ ]*' || true)
    done
}

build_offline() {
    [ "$(id -u)" = 0 ] || fail "--offline needs root"
    for tool in buildah runc node npm cargo strip; do need "$tool"; done
    for name in ingest meter query; do [ -x "$binaries/tollbooth-$name" ] || fail "$binaries/tollbooth-$name is missing: make build"; done
    mkdir -p "$work"
    make_debian
    local debian node rust
    debian="$(sed -n 's/^FROM \(debian:[^ ]*\)$/\1/p' "$root/deploy/docker/Dockerfile")"
    node="$(sed -n 's/^FROM \(node:[^ ]*\) AS web$/\1/p' "$root/deploy/docker/Dockerfile")"
    rust="$(sed -n 's/^FROM \(rust:[^ ]*\) AS build$/\1/p' "$root/deploy/docker/Dockerfile")"
    stand_in "docker.io/library/$debian"
    with_node() {
        copy_with_libraries "$1" "$(realpath "$(command -v node)")"
        ln -sf "$(realpath "$(command -v node)")" "$1/usr/local/bin/node"
        tar -C / -cf - "$(realpath --relative-to / "$(dirname "$(realpath "$(command -v npm)")")/..")" | tar -C "$1" -xf -
        ln -sf "$(realpath "$(command -v npm)")" "$1/usr/local/bin/npm"
        mkdir -p "$1/etc/ssl/certs" && cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
    }
    stand_in "docker.io/library/$node" with_node
    # Instead of a compiler: the real cargo reads every manifest of the context, then the programs that were built already are
    # taken. That the context has what a build needs is all that this proves.
    with_rust() {
        copy_with_libraries "$1" "$(rustup which cargo 2>/dev/null || realpath "$(command -v cargo)")" "$(realpath "$(command -v strip)")"
        local cargo
        cargo="$(rustup which cargo 2>/dev/null || realpath "$(command -v cargo)")"
        ln -sf "$(realpath "$(command -v strip)")" "$1/usr/local/bin/strip"
        mkdir -p "$1/prebuilt" && cp "$binaries"/tollbooth-{ingest,meter,query} "$1/prebuilt/"
        cat >"$1/usr/local/bin/cargo" <<END
#!/bin/sh
set -eu
[ "\$*" = "build --release --locked -p tollbooth-ingest -p tollbooth-meter -p tollbooth-query" ] ||
    { echo "stand-in cargo: not what is expected: \$*" >&2; exit 1; }
HOME=/tmp $cargo metadata --no-deps --format-version 1 >/dev/null
mkdir -p target/release && cp /prebuilt/* target/release/
END
        chmod +x "$1/usr/local/bin/cargo"
    }
    stand_in "docker.io/library/$rust" with_rust
    # In a chroot the network, and the names of hosts, are this machine's.
    buildah bud --isolation chroot --format docker --pull-never --ignorefile "$root/deploy/docker/Dockerfile.dockerignore" --layers=false \
        -f "$root/deploy/docker/Dockerfile" -t "$image" "$root" >"$work/build.log" 2>&1 ||
        { tail -n 30 "$work/build.log" >&2 && fail "the build failed, all of it in $work/build.log"; }
}

if [ "$build" = yes ]; then
    if [ "$offline" = yes ]; then
        build_offline
    else
        "$engine" build -f "$root/deploy/docker/Dockerfile" -t "$image" "$root"
    fi
    ok "built $image: $("$engine" image inspect "$image" --format '{{.Size}}' | numfmt --to=iec) bytes"
fi

# --- starting

scratch="$(mktemp -d)"
containers=()
cleanup() {
    for container in "${containers[@]}"; do "$engine" rm -f "$container" >/dev/null 2>&1 || true; done
    rm -rf "$scratch"
}
trap cleanup EXIT

# As deploy/compose and the chart start it.
hardened=(--read-only --cap-drop ALL --security-opt no-new-privileges --network host)
# A machine that is itself a guest may not raise limits, knows older control groups, and has no systemd to ask for health by the clock.
# None of that is the image's.
[ "$engine" = docker ] || hardened+=(--read-only-tmpfs=false --no-healthcheck)
[ "$offline" = no ] || hardened+=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --runtime runc)

user="$("$engine" image inspect "$image" --format '{{.Config.User}}')"
[ "$user" = 10001:10001 ] || fail "the image runs as '$user'"
[ "$("$engine" run --rm "${hardened[@]}" "$image" id -u)" = 10001 ] || fail "does not run as 10001"
if "$engine" run --rm "${hardened[@]}" "$image" sh -c 'touch /x || touch /usr/share/tollbooth/web/x || touch /usr/local/bin/x' 2>/dev/null; then
    fail "something can be written to"
fi
ok "runs as 10001, and can write nowhere"
leaked="$("$engine" run --rm "${hardened[@]}" "$image" sh -c 'ls -d /build /prebuilt ~root/.cargo /usr/local/cargo /usr/bin/node 2>/dev/null' || true)"
[ -z "$leaked" ] || fail "tools of the build are in the image: $leaked"
for program in "tollbooth-ingest serve" "tollbooth-ingest effects" "tollbooth-meter run" "tollbooth-meter sink" "tollbooth-query serve"; do
    "$engine" run --rm "${hardened[@]}" "$image" $program --help >"$scratch/help" || fail "$program --help"
    "$engine" run --rm "${hardened[@]}" "$image" $program --check-config >"$scratch/config" || fail "$program --check-config"
    grep -q '^\[kafka\]' "$scratch/config" || fail "$program --check-config prints no configuration"
done
ok "each program says its help and its configuration: no library is missing"
"$engine" run --rm "${hardened[@]}" "$image" sh -c 'test -s /usr/share/tollbooth/web/index.html && ls /usr/share/tollbooth/web/assets/*.js' >/dev/null ||
    fail "the dashboard's pages are not in the image"
ok "the dashboard is in it"
if grep -qE 'AUTHORIZATION|_authToken' < <("$engine" history --no-trunc "$image"); then fail "a secret stands in the image's history"; fi

# Without a broker a process is alive and not ready; that is what the health check asks for.
ports_of() { case "$1" in *serve) [ "${1%% *}" = tollbooth-ingest ] && echo 9110 || echo 9112 ;; *effects) echo 9114 ;; *run) echo 9111 ;; *sink) echo 9113 ;; esac; }
for program in "tollbooth-ingest serve" "tollbooth-meter run" "tollbooth-query serve"; do
    port="$(ports_of "$program")"
    curl -s -o /dev/null "http://127.0.0.1:$port/livez" && fail "something listens on $port already"
    container="$("$engine" run -d "${hardened[@]}" -e KAFKA_BOOTSTRAP=127.0.0.1:1 -e CLICKHOUSE_URL=http://127.0.0.1:1 \
        -e TOLLBOOTH_ADMIN_KEY= "$image" $program)"
    containers+=("$container")
    for _ in $(seq 100); do
        curl -sf -o /dev/null "http://127.0.0.1:$port/livez" && break
        sleep 0.1
    done
    curl -sf -o /dev/null "http://127.0.0.1:$port/livez" || { "$engine" logs "$container" >&2 && fail "$program: /livez does not answer"; }
    ready="$(curl -s -o "$scratch/readyz" -w '%{http_code}' "http://127.0.0.1:$port/readyz")"
    [ "$ready" = 503 ] || fail "$program: ready without a broker ($ready)"
    healthcheck="$("$engine" image inspect "$image" --format '{{json .Config.Healthcheck.Test}}' 2>/dev/null || true)"
    [ -n "$healthcheck" ] && [ "$healthcheck" != null ] || healthcheck="$("$engine" image inspect "$image" --format '{{json .HealthCheck.Test}}')"
    [ -n "$healthcheck" ] && [ "$healthcheck" != null ] || fail "the image has no health check"
    "$engine" exec "$container" sh -c "$(sed 's/^\["CMD-SHELL","//; s/"\]$//; s/\\"/"/g; s/\\u0026/\&/g; s/\\u003e/>/g' <<<"$healthcheck")" ||
        fail "$program: the health check says that it is ill"
    "$engine" stop -t 45 "$container" >/dev/null
    state="$("$engine" inspect "$container" --format '{{.State.ExitCode}}')"
    ok "$program: alive, not ready without a broker ($(head -c 120 "$scratch/readyz" | tr -d '\n')), healthy; stopped with status $state"
done

if [ "$offline" = yes ]; then
    cat <<'END'
not proved here: that the registry's images of Node, Rust and Debian have what the stand-ins have, and that the programs compile
in the image of Rust (they were compiled on this machine). The last stage, its packages, the pages and everything above were built
and run as they are.
END
fi
echo "check: the image is in order"
