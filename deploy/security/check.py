#!/usr/bin/env python3
"""Runs tollbooth against engines that trust nobody, with the grants that stand beside this file and nothing more.

    deploy/security/check.py [--binaries target/release] [--keep] [--no-tls]

A real Kafka (KRaft, StandardAuthorizer, SCRAM over TLS, its own authority) and a real ClickHouse (users, roles, TLS) start on loopback.
First everything must work and nobody may be refused anything; then each service must be refused what is not its own, and a user
without a grant, with a wrong password, or that does not know the authority must be told so. Needs Python 3, Java, openssl and built
binaries. `--no-tls` is for binaries whose librdkafka has no OpenSSL: SASL PLAIN, and no encryption.
"""

import argparse
import http.server
import json
import re
import shutil
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from stand import DATABASE_NEXT, ROOT, Failed, Stand, until

ACCOUNT = "acc_secured"
# What nothing here needs: with Stripe, effects wait for the ledger's answers.
IDLE = {("tollbooth-effects", "READ", "TOPIC", "tollbooth.replies")}


def say(text):
    print(text, flush=True)


def check(what, holds, detail=""):
    if not holds:
        raise Failed(f"{what}: {detail}")
    say(f"  ok  {what}")


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Takes what webhooks bring."""

    bodies = []

    def do_POST(self):
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def event(number, engine="nano_banana_2"):
    return {
        "specversion": "1.0", "id": f"secured-{number}", "source": "/booths/bth_secured", "type": "tollbooth.usage.v1",
        "subject": ACCOUNT, "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"operation_id": f"secured-{number}", "booth_id": "bth_secured", "service": "ai_modify", "engine": engine,
                 "unit": "image", "quantity": "1", "status": "success"},
    }


class Run:
    def __init__(self, stand):
        self.stand = stand

    def ok(self, method, url, body=None, statuses=(200, 201, 202, 204), patience_s=60):
        """The answer's body; asks again while the answer is 'not yet'."""
        def ask():
            status, answer = self.stand.api(method, url, body)
            if status in (0, 503, 504) or (status == 202 and 202 not in statuses):
                return None
            if status not in statuses:
                raise Failed(f"{method} {url}: {status} {answer}")
            return (answer,)

        return until(f"{method} {url}", ask, patience_s)[0]

    def ready(self, process):
        process.ready(f"{process.name} is ready", lambda: self.stand.api("GET", f"{process.operations}/readyz")[0] == 200)

    def engines(self):
        stand = self.stand
        stand.make_certificates()
        stand.start_kafka()
        say(f"Kafka: {stand.protocol}, {stand.mechanism}, StandardAuthorizer, nobody may do anything without a grant")
        stand.start_clickhouse()
        say("ClickHouse: four users, each with the grants of its role" + (", over TLS" if stand.is_encrypted else ""))

    def before_the_grants(self):
        say("without grants:")
        status, said = self.stand.run("topics", user="tollbooth-meter")
        check("a service that may create topics nowhere is refused", status not in (0, None) and "uthoriz" in said, said[-400:])
        started = time.monotonic()
        status, said = self.stand.run("topics", user="admin")
        check("`tollbooth-meter topics` makes them with an administrator's user", status == 0, said[-1500:])
        self.stand.acls()
        say(f"  ok  kafka-acls.sh gave its grants ({time.monotonic() - started:.0f} s)")

    def everything_works(self):
        stand = self.stand
        say("with them:")
        since = len(stand.kafka.said())
        self.processes = {name: stand.start_service(name) for name in ["meter", "sink", "ingest", "effects", "query"]}
        for process in self.processes.values():
            self.ready(process)
        say("  ok  five processes are ready, each with a user of its own")
        ingest, query = self.processes["ingest"].api, self.processes["query"].api
        account = f"{ingest}/v1/accounts/{ACCOUNT}"
        book = json.loads((ROOT / "deploy/local/price-book.json").read_text())
        self.ok("PUT", f"{ingest}/v1/price-books/1", book)
        self.ok("POST", f"{ingest}/v1/accounts", {"account_id": ACCOUNT, "name": "Secured", "plan": "payg", "currency": "USD",
                                                  "time_zone": "Europe/Berlin"}, statuses=(201,))
        self.webhook(account)
        self.ok("POST", f"{account}/purchases", {"amount": "50.00", "payment_method": "4242424242424242"}, statuses=(200,))
        for number in range(3):
            self.ok("POST", f"{ingest}/v1/events", event(number), statuses=(202,))
        expected = "49.28"
        balance = self.balance(expected)
        check(f"a purchase and three charges leave {expected}", True, balance)
        charges = until("the sink lands them", lambda: self.charges(query, 3))
        check("ClickHouse answers with the charges", len(charges) == 3)
        # Refunds look the charge up in ClickHouse, with ingest's user of it.
        self.ok("POST", f"{account}/refunds", {"entry_id": charges[0]["entry_id"], "amount": "0.24", "reason": "check"}, statuses=(200,))
        self.balance("49.52")
        say("  ok  a charge is refunded")
        # The outbox, and what comes of it.
        self.ok("PUT", f"{account}/recharge", {"enabled": True, "threshold": "60.00", "amount": "50.00"}, statuses=(200,))
        self.balance("99.52")
        until("the webhook of the recharge", lambda: any(body["type"] == "purchase.succeeded" for body in Endpoint.bodies))
        say("  ok  effects carried a recharge out, and told an endpoint of it")
        self.dead_letter(ingest, query)
        key = self.ok("POST", f"{ingest}/v1/keys", {"kind": "account", "account_id": ACCOUNT, "scopes": ["read"], "label": "check"},
                      statuses=(201,))["key"]
        until("the key is known to query",
              lambda: stand.api("GET", f"{query}/v1/accounts/{ACCOUNT}/balance", key=key)[0] == 200)
        # When it was used is told by who took it, allowed or not.
        stand.api("GET", f"{account}/webhooks", key=key)
        self.ok("GET", f"{query}/v1/audit", statuses=(200,))
        say("  ok  keys and the audit trail are written and read")
        status, said = stand.run("verify")
        check("verify, with a user that only reads, finds every defect 0", status == 0, said[-3000:])
        check("nobody was refused anything", not stand.denials(since), stand.denials(since))

    def webhook(self, account):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = self.ok("POST", f"{account}/webhooks", {"url": f"http://127.0.0.1:{server.server_port}/"}, statuses=(201,))
        self.ok("POST", f"{account}/webhooks/{made['webhook_id']}/ping", {}, statuses=(202,))

    def dead_letter(self, ingest, query):
        self.ok("POST", f"{ingest}/v1/events", event("unpriced", engine="nobody_knows"), statuses=(202,))

        def letters():
            status, answer = self.stand.api("GET", f"{query}/v1/dead-letters?reason=no_price")
            return status == 200 and answer["data"]

        letter = until("the dead letter is listed", letters)[0]
        answer = self.ok("POST", f"{ingest}/v1/dead-letters/redrive", {"ids": [letter["id"]]}, statuses=(200,))
        check("a dead letter is listed and driven again", "refused" in json.dumps(answer), answer)
        body = {"ids": [letter["id"]], "note": "a test"}
        answer = self.ok("POST", f"{ingest}/v1/dead-letters/dismiss", body, statuses=(200,))
        check("a dead letter is dismissed", answer["counts"] == {"dismissed": 1}, answer)

    def balance(self, amount):
        url = f"{self.processes['query'].api}/v1/accounts/{ACCOUNT}/balance"
        last = []

        def look():
            last[:] = [self.stand.api("GET", url)]
            return last[0][0] == 200 and last[0][1]["balance"]["amount"] == amount

        try:
            return until(f"a balance of {amount}", look)
        except Failed as failed:
            raise Failed(f"{failed}: {last}") from None

    def charges(self, query, count):
        status, page = self.stand.api("GET", f"{query}/v1/accounts/{ACCOUNT}/transactions?type=consume&q=nano")
        return page["data"] if status == 200 and len(page["data"]) == count else None

    def another_database(self):
        """Its groups and its transactional id have its name behind those of the first."""
        stand = self.stand
        say("a database is filled anew, and switched to:")
        since = len(stand.kafka.said())
        status, said = stand.run("rebuild", user="tollbooth-sink", store_user="tollbooth_sink")
        check(f"`tollbooth-meter rebuild` fills {DATABASE_NEXT} with the sink's users", status == 0, said[-3000:])
        # As it says, and in its order.
        switch = dict(re.findall(r"^  ([A-Z_]+)=(\S+)$", said, re.M))
        check("it says what to set", switch.get("CLICKHOUSE_DATABASE") == DATABASE_NEXT, said[-1000:])
        for name in ["sink", "query"]:
            check(f"{name} ends in order", self.processes[name].end() == 0, self.processes[name].said()[-1500:])
            self.processes[name] = stand.start_service(name, name=f"{name}-switched", **switch)
            self.ready(self.processes[name])
        self.balance("99.52")
        # The rebuild's lease is given to another one only after its session.
        metrics = f"{self.processes['sink'].operations}/metrics"
        until("the sink goes on in it", lambda: re.search(r"^tollbooth_sink_active(\{.*\})? 1$", str(stand.api("GET", metrics)[1]), re.M))
        status, said = stand.run("verify", **switch)
        check("verify finds every defect 0 in it", status == 0, said[-3000:])
        check("nobody was refused anything", not stand.denials(since), stand.denials(since))

    def each_its_own(self):
        """A service that was broken into can do what it may, and nothing else."""
        stand = self.stand
        say("with another's user:")
        for service, user, refused in [
            ("meter", "tollbooth-query", "the meter as query"),
            ("sink", "tollbooth-meter", "the sink as the meter"),
            ("ingest", "tollbooth-query", "ingest as query"),
            ("effects", "tollbooth-ingest", "effects as ingest"),
        ]:
            since = len(stand.kafka.said())
            process = stand.start_service(service, name=f"{service}-as-{user}", user=user,
                                          **({"TOLLBOOTH_METER__MEMBER_ID": "stranger"} if service in ("meter", "sink") else {}))
            until(f"{refused} is refused", lambda: [d for d in stand.denials(since) if d[0] == user])
            until(f"{refused} is not ready",
                  lambda: not process.is_running() or stand.api("GET", f"{process.operations}/readyz")[0] != 200)
            process.end()
            check(f"{refused} is refused ({first(stand.denials(since), user)}), and not ready", True)
        # Who could begin a transaction under another's id would fence its owner.
        for user, transactional_id in [
            ("tollbooth-meter", "tollbooth.ledger-sink"),
            ("tollbooth-meter", f"tollbooth.ledger-sink-ledger-sink-{DATABASE_NEXT}"),
            ("tollbooth-sink", "tollbooth.ledger-0"),
        ]:
            said = stand.transact(user, transactional_id)
            check(f"{user} begins no transaction as {transactional_id}", "TransactionalIdAuthorizationException" in said, said[-400:])
        before = self.balance("99.52")
        check("the meter goes on meanwhile", before)
        say("in ClickHouse:")
        words = stand.store_passwords
        for user, statement in [
            ("tollbooth_query", "INSERT INTO tollbooth.ledger (account_id) VALUES ('x')"),
            ("tollbooth_query", "SELECT * FROM system.users"),
            ("tollbooth_ingest", "SELECT count() FROM tollbooth.account_balances"),
            ("tollbooth_ingest", "INSERT INTO tollbooth.ledger (account_id) VALUES ('x')"),
            ("tollbooth_verify", "ALTER TABLE tollbooth.ledger DELETE WHERE 1"),
            ("tollbooth_sink", "DROP TABLE tollbooth.ledger"),
            ("tollbooth_sink", "TRUNCATE TABLE tollbooth.ledger"),
            ("tollbooth_sink", "ALTER TABLE tollbooth.ledger DELETE WHERE 1"),
            ("tollbooth_sink", "CREATE USER other"),
        ]:
            status, text = stand.sql(statement, user, words[user])
            check(f"{user} is refused: {statement}", status in (403, 500) and "ACCESS_DENIED" in text, f"{status} {text}")
        status, text = stand.sql("SELECT 1", "tollbooth_query", "wrong")
        check("a wrong password is refused", "AUTHENTICATION_FAILED" in text, f"{status} {text}")

    def a_grant_is_taken_away(self):
        stand, ingest = self.stand, self.processes["ingest"].api
        say("a grant is taken away:")
        grant = ["--allow-principal", "User:tollbooth-ingest", "--operation", "Write", "--topic", "tollbooth.usage"]
        stand.acl("--remove", "--force", *grant)

        def refused():
            status, answer = stand.api("POST", f"{ingest}/v1/events", event(f"refused-{time.monotonic_ns()}"))
            return (status, answer) if status != 202 else None

        status, answer = until("ingest does not acknowledge what Kafka refuses", refused)
        check(f"without Write on usage an event is answered with {status}, not 202", status >= 500, answer)
        status, answer = stand.api("POST", f"{ingest}/v1/accounts/{ACCOUNT}/adjustments", {"amount": "1.00", "reason": "check"})
        check("commands, another topic, go on", status == 200, f"{status} {answer}")
        stand.acl("--add", *grant)
        self.ok("POST", f"{ingest}/v1/events", event("again"), statuses=(202,))
        say("  ok  given back, events are taken again, without a restart")

    def strangers(self):
        stand = self.stand
        say("strangers:")
        own = "TOLLBOOTH_METER__KAFKA__SETTINGS__"
        wrong = {f"{own}SASL_PASSWORD_FILE": stand.secret("wrong", "wrong")}
        status, said = stand.run("topics", user="tollbooth-meter", patience_s=60, **wrong)
        check("a wrong password is told as such", status != 0 and "uthentication" in said, said[-600:])
        plain = {f"{own}SECURITY_PROTOCOL": "PLAINTEXT"}
        status, said = stand.run("topics", user="tollbooth-meter", patience_s=60, **plain)
        check("who does not log in is not served", status != 0, said[-600:])
        if stand.is_encrypted:
            other = {f"{own}SSL_CA_LOCATION": str(stand.folder / "stranger.pem")}
            status, said = stand.run("topics", user="tollbooth-meter", patience_s=60, **other)
            check("a broker of an authority that is not trusted is not talked to",
                  status != 0 and "certificate verify failed" in said, said[-600:])
            process = stand.start_service("query", name="query-other-ca",
                                          TOLLBOOTH_QUERY__CLICKHOUSE__CA_LOCATION=str(stand.folder / "stranger.pem"))
            until("query says why it cannot connect to ClickHouse", lambda: "invalid peer certificate" in process.said())
            never = stand.api("GET", f"{process.operations}/readyz")[0] != 200
            process.end()
            check("a ClickHouse of an authority that is not trusted is not talked to", never)

    def refusals(self):
        say("settings that would break a promise:")
        own = "TOLLBOOTH_METER__KAFKA__SETTINGS__"
        for name, value, word in [("ACKS", "1", "every in-sync replica"), ("ENABLE_IDEMPOTENCE", "false", "twice"),
                                  ("ISOLATION_LEVEL", "read_uncommitted", "aborted")]:
            status, said = self.stand.run("topics", user="tollbooth-meter", **{own + name: value})
            check(f"{name.lower()}={value} is refused", status not in (0, None) and word in said, said[-400:])

    def leftovers(self):
        say("at the end:")
        for process in self.processes.values():
            check(f"{process.name} ends in order", process.end() == 0, process.said()[-1500:])
        granted, used = self.stand.grants(), self.stand.grants_used()
        idle = granted - used - IDLE
        check(f"{len(granted)} grants, and none that nobody needs", not idle, sorted(idle))


def first(denials, user):
    found = next(denial for denial in denials if denial[0] == user)
    return f"{found[1]} on {found[2]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, default=ROOT / "target/release")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and settings")
    parser.add_argument("--no-tls", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tollbooth-security-"))
    folder.chmod(0o700)
    stand = Stand(folder, options.binaries.resolve(), is_encrypted=not options.no_tls)
    run, keep = Run(stand), options.keep
    try:
        for step in [run.engines, run.before_the_grants, run.everything_works, run.another_database, run.each_its_own,
                     run.a_grant_is_taken_away, run.strangers, run.refusals, run.leftovers]:
            step()
        say("check: the grants are enough, and no more than that")
    except Failed as failed:
        keep = True
        say(f"FAILED  {failed}")
        sys.exit(1)
    finally:
        stand.close()
        if keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
