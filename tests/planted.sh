#!/usr/bin/env bash
# Runs the short crash test against meters with a defect planted. Succeeds when the test fails each time, for the reason
# that the defect gives it.
#
#   tests/planted.sh [FEATURE ...]
#
# The seed is fixed unless TOLLBOOTH_CRASH_SEED says otherwise, so that the outcome can be repeated.
set -euo pipefail
cd "$(dirname "$0")/.."

features=("$@")
if [ ${#features[@]} -eq 0 ]; then
    features=(planted-commit-before-produce planted-no-fencing planted-token-per-attempt
        planted-insert-token-per-attempt planted-dedupe-by-time)
fi

# What the audit must count: other defects may come with it, but without one of these something else has failed.
consequence() {
    case "$1" in
        planted-commit-before-produce) echo 'lost' ;;
        # Two writers of one partition: each goes on from its own last number.
        planted-no-fencing) echo 'doubled|seq_doubled' ;;
        # The fleet reports failures of what is charged already, under the next attempt: they get listed.
        planted-token-per-attempt) echo 'doubled|wrongly_posted' ;;
        planted-insert-token-per-attempt) echo 'row_doubled' ;;
        planted-dedupe-by-time) echo 'doubled' ;;
        *) echo "planted.sh: nobody knows what $1 leads to" >&2 && return 1 ;;
    esac
}
for feature in "${features[@]}"; do
    consequence "$feature" >/dev/null
done
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
mkdir -p "$target/planted"
export TOLLBOOTH_CRASH=short
export TOLLBOOTH_CRASH_SEED="${TOLLBOOTH_CRASH_SEED:-1}"

# The same selection of packages each time, so that features unite alike and nothing but the meter is built again.
cargo build --workspace
cargo test --workspace --test crash --no-run
cp "$target/debug/tollbooth-meter" "$target/planted/tollbooth-meter-plain"
for feature in "${features[@]}"; do
    echo "== building with $feature"
    cargo build --workspace --features "tollbooth-meter/$feature"
    cp "$target/debug/tollbooth-meter" "$target/planted/tollbooth-meter-$feature"
    # At once, not only at the end: nothing may run a planted meter by mistake, also where this script is stopped.
    rm "$target/debug/tollbooth-meter"
    cp "$target/planted/tollbooth-meter-plain" "$target/debug/tollbooth-meter"
done

status=0
for feature in "${features[@]}"; do
    log="$target/planted/$feature.log"
    # Only the defect may make the difference: what cannot even be carried out is no proof.
    if TOLLBOOTH_METER_BIN="$target/planted/tollbooth-meter-$feature" \
        cargo test --workspace --test crash crash_test -- --nocapture >"$log" 2>&1; then
        echo "NOT FOUND  $feature: the crash test passed ($log)"
        status=1
    elif grep -qE "^  DEFECT ($(consequence "$feature")) +[1-9]" "$log"; then
        echo "found      $feature:"
        grep '  DEFECT ' "$log" | sort -u | sed 's/^/           /'
    else
        echo "UNCLEAR    $feature: the crash test failed, but not by $(consequence "$feature") ($log)"
        status=1
    fi
done
exit $status
