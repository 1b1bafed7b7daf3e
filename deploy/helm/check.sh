#!/usr/bin/env bash
# Lints the chart and renders it for the small, the normal and the large profile; each object is decoded strictly into
# Kubernetes' own types (deploy/helm/check, Go). Needs helm and Go: no part of `make test`.
#
#   deploy/helm/check.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
for tool in helm go; do
    command -v "$tool" >/dev/null || { echo "check: $tool is missing (go install helm.sh/helm/v3/cmd/helm@latest)" >&2; exit 1; }
done
checker="$(mktemp)"
trap 'rm -f "$checker"' EXIT
(cd check && go build -o "$checker" .)
given=(--set-string kafka.bootstrap='kafka-0:9092\,kafka-1:9092' --set-string clickhouse.url=http://clickhouse:8123)
for profile in small normal large; do
    values=()
    [ "$profile" = normal ] || values=(-f "tollbooth/values-$profile.yaml")
    # helm tells of every link it follows.
    helm lint --strict tollbooth "${given[@]}" "${values[@]}" 2>/dev/null | grep -v '^$'
    echo -n "$profile: "
    helm template toll tollbooth --kube-version 1.31.0 "${given[@]}" "${values[@]}" 2>/dev/null | "$checker"
done
# What must be refused.
if helm template toll tollbooth --kube-version 1.31.0 >/dev/null 2>&1; then
    echo "check: rendered without the addresses of Kafka and ClickHouse" >&2
    exit 1
fi
if helm template toll tollbooth --kube-version 1.31.0 "${given[@]}" --set meter.replicas=65 >/dev/null 2>&1; then
    echo "check: rendered more meters than partitions" >&2
    exit 1
fi
echo "check: the chart is in order"
