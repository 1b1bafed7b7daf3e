#!/usr/bin/env bash
# Writes the rules with every window and time limit FACTOR times shorter, to see alerts fire within seconds on a running
# stack. Not for production.
#
#   deploy/prometheus/faster.sh FACTOR DIR
#
# Windows are those in brackets and behind `for:` and `keep_firing_for:`; limits are written as minutes (`30 * 60`) or hours (`6 * 3600`).
set -euo pipefail
factor="${1:?usage: faster.sh FACTOR DIR}"
target="${2:?usage: faster.sh FACTOR DIR}"
mkdir -p "$target"
cd "$(dirname "${BASH_SOURCE[0]}")"
for file in *.rules.yml; do
    awk -v factor="$factor" '
        function shorter(text,    unit, ms) {
            unit = substr(text, length(text))
            ms = substr(text, 1, length(text) - 1) * (unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 86400) * 1000
            ms = int(ms / factor)
            return (ms < 1 ? 1 : ms) "ms"
        }
        {
            line = $0
            done = ""
            # The names of recorded series carry their window, too, and stay as they are.
            while (match(line, /\[[0-9]+[smhd]\]/)) {
                done = done substr(line, 1, RSTART) shorter(substr(line, RSTART + 1, RLENGTH - 2)) "]"
                line = substr(line, RSTART + RLENGTH)
            }
            line = done line
            if (match(line, /^ *(keep_firing_)?for: [0-9]+[smhd]$/)) {
                at = index(line, "for: ") + 4
                line = substr(line, 1, at) shorter(substr(line, at + 1))
            }
            if (line !~ /summary:|description:/) {
                gsub(/\* 60( |$)/, "* " 60 / factor " ", line)
                gsub(/\* 3600( |$)/, "* " 3600 / factor " ", line)
                # As far as `predict_linear` looks ahead.
                gsub(/\* 3600\)/, "* " 3600 / factor ")", line)
            }
            sub(/ $/, "", line)
            print line
        }' "$file" >"$target/$file"
done
