#!/usr/bin/env bash
# Lints the chart and renders it for the small, the normal and the large profile; each object is decoded strictly into the types
# of Kubernetes and of the Prometheus operator, and what an installation needs must be there (deploy/helm/check, Go). Needs helm
# and Go: no part of `make test`. The first run compiles for a minute or two, the next ones take seconds.
#
#   deploy/helm/check.sh [--keep FOLDER]     with a folder, the rendered manifests stay there
#
# With programs in target/release (or BINARIES=folder) each also reads the environment that it would be given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
binaries="${BINARIES:-../../target/release}"
if [ -x "$binaries/tollbooth-meter" ]; then binaries="$(realpath "$binaries")"; else
    echo "check: no programs in $binaries, the environment of the pods is not looked at" >&2
    binaries=
fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
kept="$scratch"
[ "${1:-}" != --keep ] || { kept="${2:?}" && mkdir -p "$kept"; }
for tool in helm go; do
    command -v "$tool" >/dev/null || { echo "check: $tool is missing (go install helm.sh/helm/v3/cmd/helm@v3.22.0)" >&2; exit 1; }
done
(cd check && go build -o "$scratch/check" .)
given=(--set-string kafka.bootstrap='kafka-0:9092\,kafka-1:9092' --set-string clickhouse.url=http://clickhouse:8123)
# helm tells of every link it follows: its words are shown where it fails.
render() { helm template toll tollbooth --kube-version 1.31.0 "${given[@]}" "$@" 2>"$scratch/words" || { cat "$scratch/words" >&2; return 1; }; }
for profile in small normal large; do
    values=()
    [ "$profile" = normal ] || values=(-f "tollbooth/values-$profile.yaml")
    helm lint --strict tollbooth "${given[@]}" "${values[@]}" >"$scratch/lint" 2>&1 || { cat "$scratch/lint" >&2; exit 1; }
    render "${values[@]}" >"$kept/$profile.yaml"
    echo -n "$profile: "
    "$scratch/check" -profile "$profile" -rules ../prometheus -binaries "$binaries" <"$kept/$profile.yaml"
done

# What must be refused, and with which word.
refused() {
    local word="$1"
    shift
    if helm template toll tollbooth --kube-version 1.31.0 "$@" >/dev/null 2>"$scratch/words"; then
        echo "check: rendered although it must be refused: $*" >&2
        exit 1
    fi
    grep -q "$word" "$scratch/words" || { echo "check: refused for another reason:" >&2; cat "$scratch/words" >&2; exit 1; }
}
refused bootstrap
refused kafka.partitions "${given[@]}" --set meter.replicas=65
refused partitions "${given[@]}" --set kafka.partitions=0
refused url "${given[@]}" --set-string clickhouse.url=clickhouse:8123
refused returnUrl "${given[@]}" --set purchases.provider=stripe
refused provider "${given[@]}" --set purchases.provider=paypal
refused checkpointUrl "${given[@]}" --set-string meter.checkpointUrl=s3://bucket/prefix --set meter.persistence.enabled=false

# Every switch once: what is rendered with it must be in order as well.
switched() {
    local name="$1"
    shift
    render "$@" >"$kept/$name.yaml"
    echo -n "$name: "
    "$scratch/check" -profile "$name" -binaries "$binaries" <"$kept/$name.yaml"
}
switched switched --set purchases.provider=stripe --set-string purchases.stripe.returnUrl=https://app.example.com \
    --set webhooks.enabled=true --set-string meter.checkpointUrl=s3://bucket/prefix \
    --set-string meter.checkpointSettings.REGION=eu-central-1 --set-string meter.checkpointSecretSettings.SECRET_ACCESS_KEY=s3-key \
    --set-string ingest.settings.EVENTS__AGE_DAYS_MAX=30 --set-string effects.secretSettings.MAIL__PASSWORD=mail-password \
    --set 'effects.egress[0].ports[0].port=587' --set 'networkPolicy.apiFrom[0].namespaceSelector.matchLabels.name=ingress' \
    --set 'imagePullSecrets[0].name=registry' --set nodeSelector.disk=ssd --set serviceMonitor.enabled=true
# Those that no profile has off.
switched without-effects --set effects.enabled=false --set serviceMonitor.enabled=true --set prometheusRule.enabled=true
switched without-policies --set networkPolicy.enabled=false
switched without-volumes --set meter.persistence.enabled=false
echo "check: the chart is in order"
