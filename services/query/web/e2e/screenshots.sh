#!/usr/bin/env bash
# Pictures of every page of a running stack (see screenshots.shot.ts): screenshots.sh [PAGE...]
# TOLLBOOTH_E2E_ENV names another stack's demo.env than that of `make up`.
set -euo pipefail
web="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
root="$(cd "$web/../../.." && pwd)"
set -a
# shellcheck disable=SC1090 # the stack wrote it
. "${TOLLBOOTH_E2E_ENV:-$root/${TOLLBOOTH_LOCAL_DIR:-.local}/demo.env}"
set +a
cd "$web"
TOLLBOOTH_SHOTS="$*" exec npx vitest run --config e2e/vitest.config.ts
