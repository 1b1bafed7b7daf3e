#!/usr/bin/env bash
# Gives each service's Kafka user what it needs and nothing else. Needs Kafka's own kafka-acls.sh and a user that may alter ACLs.
#
#   deploy/security/kafka-acls.sh --bootstrap-server HOST:PORT --command-config admin.properties
#   deploy/security/kafka-acls.sh --print                      only shows the calls
#
# Further: --prefix tollbooth. (topic prefix), --users tollbooth- (what the users' names begin with: tollbooth-ingest, -effects,
# -meter, -sink, -query, -verify), --remove (takes the same grants away again).
# KAFKA_ACLS is the command where it is not kafka-acls.sh. Calls may be repeated: a grant that is there stays.
#
# No service may create topics: `tollbooth-meter topics`, run once with an administrator's user, makes them.
# What each grant is for stands beside it; deploy/security/check.py runs the services with exactly these.
set -euo pipefail

prefix=tollbooth.
users=tollbooth-
mode=--add
print=no
connection=()
while [ $# -gt 0 ]; do
    case "$1" in
    --bootstrap-server | --command-config) connection+=("$1" "${2:?}") && shift ;;
    --prefix) prefix="${2:?}" && shift ;;
    --users) users="${2:?}" && shift ;;
    --remove) mode=--remove ;;
    --print) print=yes ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
    shift
done
if [ "$print" = no ] && [[ " ${connection[*]} " != *" --bootstrap-server "* ]]; then
    echo "kafka-acls: --bootstrap-server is missing" >&2
    exit 2
fi
read -ra command <<<"${KAFKA_ACLS:-kafka-acls.sh}"

call() {
    if [ "$print" = yes ]; then
        echo "${command[*]} ${connection[*]} $*"
    else
        # One call is one JVM. It lists every grant of what it touched; of interest is only what fails.
        local out
        out="$("${command[@]}" "${connection[@]}" "$@" 2>&1)" || { echo "$out" >&2 && exit 1; }
    fi
}

# grant SERVICE ARGUMENT...: what it may do.
grant() {
    local user="User:$users$1" force=()
    shift
    [ "$mode" = --add ] || force=(--force)
    call "$mode" "${force[@]}" --allow-principal "$user" "$@"
}

# topics SERVICE OPERATION NAME...
topics() {
    local service="$1" operation="$2" arguments=()
    shift 2
    for name in "$@"; do arguments+=(--topic "$prefix$name"); done
    grant "$service" --operation "$operation" "${arguments[@]}"
}

# Groups that exist in name only: readers that assign themselves commit nothing, and the client asks for their coordinator
# nevertheless.
for service in ingest effects meter query; do
    grant "$service" --operation Describe --resource-pattern-type prefixed --group "$prefix"
done
# At the start these compare every topic with what it must be: partitions, retention, whose clock, replicas.
for service in ingest effects meter sink; do
    grant "$service" --operation Describe --operation DescribeConfigs --resource-pattern-type prefixed --topic "$prefix"
done

# Takes usage and commands; keys, webhooks and prices; who did what; that a dead letter is dismissed.
topics ingest Write usage commands price-book registry deliveries audit key-usage dead-letter
topics ingest Read price-book registry deliveries dead-letter replies

# Carries out what the meter decided; each effect ends in a command.
topics effects Write commands deliveries
topics effects Read outbox registry deliveries
# Where the provider is Stripe: what became of payments that it told of late.
topics effects Read replies
grant effects --operation Read --group tollbooth-effects

# The ledger's only writer.
topics meter Read usage commands price-book ledger dead-letter
topics meter Write ledger replies outbox dead-letter
grant meter --operation Read --group tollbooth-meter
grant meter --operation Write --operation Describe --resource-pattern-type prefixed --transactional-id "${prefix}ledger-"
# Within that prefix, and another service's: the sink's, and that of a sink whose database was filled by a rebuild.
call "$mode" $([ "$mode" = --add ] || echo --force) --deny-principal "User:${users}meter" --operation All \
    --resource-pattern-type prefixed --transactional-id "${prefix}ledger-sink"

# Reads the ledger; its offsets are committed in its own transactions. `tollbooth-meter rebuild` puts the new database's name
# behind both groups and the transactional id, and the sink keeps these names after the switch.
topics sink Read ledger sink-lease
grant sink --operation Read --resource-pattern-type prefixed --group tollbooth-sink --group ledger-sink
# The latter is what a rebuild looks for the ledger's end with.
grant sink --operation Describe --group tollbooth-metadata --group tollbooth-verify
grant sink --operation Write --operation Describe --resource-pattern-type prefixed --transactional-id "${prefix}ledger-sink"

# Reads; writes who looked at what, when keys were used, and which sessions were signed out of.
topics query Read ledger price-book registry dead-letter audit key-usage ended-sessions
topics query Write audit key-usage ended-sessions
grant query --operation Describe --resource-pattern-type prefixed --group ledger-sink

# `tollbooth-meter verify`: reads everything that a charge follows from.
topics verify Read usage commands ledger price-book dead-letter
grant verify --operation Describe --group tollbooth-meter --group tollbooth-verify
grant verify --operation Describe --resource-pattern-type prefixed --group ledger-sink
