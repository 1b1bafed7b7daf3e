"""A Kafka with an authorizer and a ClickHouse with users, both real, on loopback, and tollbooth's services started against them.

Everything lies in one folder that is deleted at the end; every process is a child of this one and ends with it.
"""

import asyncio
import ctypes
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import ssl
import string
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["ingest", "effects", "meter", "sink", "query", "verify"]
DATABASE = "tollbooth"
# What a rebuild fills.
DATABASE_NEXT = "tollbooth_2"
PARTITIONS = "2"
PATIENCE_S = 90


class Failed(Exception):
    """What was promised did not hold."""


def die_with_parent():
    ctypes.CDLL("libc.so.6", use_errno=True).prctl(1, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, patience_s=PATIENCE_S):
    """The condition's first true value; asks ten times a second."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {patience_s} s: {what}")
        time.sleep(0.1)
    return value


def admin_key():
    """Of the form that docs/deploy.md tells: base62 with check digits."""
    letters = string.digits + string.ascii_uppercase + string.ascii_lowercase
    body = "tb_ak_live_" + "".join(secrets.choice(letters) for _ in range(30))
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = letters[digit] + digits
    return body + digits


class Process:
    """A child whose output goes to a file."""

    def __init__(self, name, command, log, environment=None, stdin=None):
        self.name, self.log = name, log
        self.environment = environment
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=out, stdin=stdin, env=environment,
                preexec_fn=die_with_parent, cwd=log.parent,
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def is_running(self):
        return self.child.poll() is None

    def ready(self, what, condition, patience_s=PATIENCE_S):
        def look():
            if not self.is_running():
                raise Failed(f"{self.name} ended with {self.child.returncode}:\n{self.said()[-3000:]}")
            return condition()

        try:
            return until(what, look, patience_s)
        except Failed as failed:
            raise Failed(f"{failed}\n{self.name} said:\n{self.said()[-3000:]}") from None

    def end(self, patience_s=45):
        """SIGTERM, and what it left with."""
        if self.is_running():
            self.child.terminate()
        try:
            return self.child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


class Stand:
    """The engines, and how services are started against them."""

    def __init__(self, folder, binaries, is_encrypted):
        self.folder, self.binaries, self.is_encrypted = Path(folder), Path(binaries), is_encrypted
        self.protocol = "SASL_SSL" if is_encrypted else "SASL_PLAINTEXT"
        # PLAIN only where SCRAM is not to be had: it shows the broker the password.
        self.mechanism = "SCRAM-SHA-512" if is_encrypted else "PLAIN"
        self.kafka_port, self.controller_port = free_port(), free_port()
        self.http_port, self.https_port = free_port(), free_port()
        self.admin_key = admin_key()
        self.shared_secret = secrets.token_hex(32)
        self.passwords = {user: secrets.token_urlsafe(24) for user in ["admin", *(f"tollbooth-{s}" for s in SERVICES)]}
        self.store_passwords = {f"tollbooth_{s}": secrets.token_urlsafe(24) for s in ["sink", "query", "ingest", "verify"]}
        self.processes = []

    # --- certificates

    def make_certificates(self):
        """An authority, a certificate of it for 127.0.0.1, and an authority that nobody knows."""

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

        for name in ["ca", "stranger"]:
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=tollbooth check {name}",
                    "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
        (self.folder / "server.ext").write_text(
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "server.ext", "-out", "server.pem")
        both = (self.folder / "server.key").read_text() + (self.folder / "server.pem").read_text()
        (self.folder / "server-both.pem").write_text(both)

    # --- Kafka

    def java(self, *arguments, heap_mb=128):
        jars = os.environ.get("TOLLBOOTH_CHECK_JARS") or self.fetched("Kafka")
        return ["java", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*", *arguments]

    def fetched(self, engine):
        if not hasattr(self, "_fetched"):
            out = subprocess.run([self.binaries / "tollbooth-local", "fetch"], check=True, capture_output=True, text=True)
            self._fetched = dict(line.split(": ", 1) for line in out.stdout.splitlines())
        return self._fetched[engine]

    def broker_properties(self):
        jaas = "org.apache.kafka.common.security"
        module = f"{jaas}.scram.ScramLoginModule" if self.is_encrypted else f"{jaas}.plain.PlainLoginModule"
        login = f'{module} required username="admin" password="{self.passwords["admin"]}"'
        users = "".join(f' user_{name}="{word}"' for name, word in self.passwords.items())
        if not self.is_encrypted:
            login += users
        # A controller reads the SCRAM users out of what it serves itself, so it is asked by PLAIN.
        controller = (f'{jaas}.plain.PlainLoginModule required username="admin" password="{self.passwords["admin"]}" '
                      f'user_admin="{self.passwords["admin"]}";')
        lines = {
            "process.roles": "broker,controller", "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"CLIENTS://127.0.0.1:{self.kafka_port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"CLIENTS://127.0.0.1:{self.kafka_port}",
            "listener.security.protocol.map": f"CLIENTS:{self.protocol},CONTROLLER:SASL_PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS", "controller.listener.names": "CONTROLLER",
            "sasl.enabled.mechanisms": self.mechanism, "sasl.mechanism.inter.broker.protocol": self.mechanism,
            "sasl.mechanism.controller.protocol": "PLAIN",
            f"listener.name.clients.{self.mechanism.lower()}.sasl.jaas.config": login + ";",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.controller.plain.sasl.jaas.config": controller,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin", "allow.everyone.if.no.acl.found": "false",
            "auto.create.topics.enable": "false", "log.dirs": self.folder / "kafka",
            "offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "2",
            "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "2", "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1", "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.dedupe.buffer.size": "16777216",
        }
        if self.is_encrypted:
            lines |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.folder / "server-both.pem",
                      "ssl.truststore.type": "PEM", "ssl.truststore.location": self.folder / "ca.pem"}
        return "".join(f"{name}={value}\n" for name, value in lines.items())

    def client_properties(self, user):
        module = "scram.ScramLoginModule" if self.is_encrypted else "plain.PlainLoginModule"
        lines = {
            "security.protocol": self.protocol, "sasl.mechanism": self.mechanism,
            "sasl.jaas.config": f"org.apache.kafka.common.security.{module} required "
                                f'username="{user}" password="{self.passwords[user]}";',
        }
        if self.is_encrypted:
            lines |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": self.folder / "ca.pem"}
        path = self.folder / f"{user}.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return path

    def start_kafka(self):
        properties = self.folder / "server.properties"
        properties.write_text(self.broker_properties())
        scram = []
        if self.is_encrypted:
            for name, word in self.passwords.items():
                scram += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={word}]"]
        cluster = secrets.token_urlsafe(16).replace("-", "a")
        formatted = subprocess.run(
            self.java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties, *scram),
            capture_output=True, text=True)
        if formatted.returncode:
            raise Failed(f"Kafka's storage format: {formatted.stdout}{formatted.stderr}")
        logged = ["-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug",
                  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
                  "-Dorg.slf4j.simpleLogger.log.kafka.server.BrokerServer=info"]
        command = self.java(*logged, "kafka.Kafka", properties, heap_mb=768)
        self.kafka = self.start("kafka", command)
        self.kafka.ready("Kafka started", lambda: "Kafka Server started" in self.kafka.said())

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.kafka_port}"

    def acls(self, *arguments):
        """The script that is delivered, with the administrator's user."""
        environment = os.environ | {"KAFKA_ACLS": " ".join(self.java("org.apache.kafka.tools.AclCommand"))}
        subprocess.run([ROOT / "deploy/security/kafka-acls.sh", "--bootstrap-server", self.bootstrap, "--command-config",
                        self.client_properties("admin"), *arguments], env=environment, check=True)

    def acl(self, *arguments):
        """One call of Kafka's own tool."""
        command = self.java("org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.bootstrap,
                            "--command-config", str(self.client_properties("admin")), *arguments)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def transact(self, user, transactional_id):
        """What Kafka's own producer says when it begins a transaction."""
        command = self.java("org.apache.kafka.tools.ProducerPerformance", "--bootstrap-server", self.bootstrap, "--command-config",
                            str(self.client_properties(user)), "--topic", "tollbooth.ledger", "--num-records", "1",
                            "--record-size", "10", "--throughput", "-1", "--transactional-id", transactional_id)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def denials(self, since=0):
        """What the authorizer refused from that character of its log on: (user, operation, resource, request)."""
        line = r"Principal = User:(\S+) is Denied operation = (\S+) from host = \S+ on resource = (\S+) for request = (\S+)"
        return sorted(set(re.findall(line, self.kafka.said()[since:])))

    def grants(self):
        """What is granted: (user, operation, kind of resource, its name)."""
        found, resource = set(), None
        for line in self.acl("--list").splitlines():
            if named := re.search(r"resourceType=(\w+), name=(\S+), patternType=\w+\)", line):
                resource = named.groups()
            elif granted := re.search(r"principal=User:(\S+), host=\*, operation=(\w+), permissionType=ALLOW", line):
                found.add((*granted.groups(), *resource))
        return found

    def grants_used(self):
        """Those that allowed something, as the authorizer told."""
        line = (r"is Allowed operation .*? based on rule MatchingAcl\(acl=StandardAcl\[resourceType=(\w+), resourceName=(\S+), "
                r"patternType=\w+, principal=User:(\S+), host=\*, operation=(\w+)")
        return {(user, operation, kind, name) for kind, name, user, operation in re.findall(line, self.kafka.said())}

    # --- ClickHouse

    def role_statements(self):
        """For both databases, as docs/backup.md has them for the second."""
        text = (ROOT / "deploy/security/clickhouse-roles.sql").read_text()
        text += re.sub(r"(ON|EXISTS) tollbooth(\.| ENGINE)", rf"\1 {DATABASE_NEXT}\2", text)
        return [part.strip() for part in re.sub(r"--.*", "", text).split(";") if part.strip()]

    def store_user(self, user):
        """A user with the grants of its role. This ClickHouse keeps users in its settings only, so the role itself is not made."""
        granted = [re.sub(rf"\s+TO {user}$", "", part) for part in self.role_statements() if re.match(rf"GRANT .* TO {user}$", part, re.S)]
        queries = "".join(f"<query>{' '.join(part.split())}</query>" for part in granted)
        password = hashlib.sha256(self.store_passwords[user].encode()).hexdigest()
        return (f"<{user}><password_sha256_hex>{password}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>"
                f"<profile>default</profile><quota>default</quota><grants>{queries}</grants></{user}>")

    def start_clickhouse(self):
        users = self.folder / "users.xml"
        admin = self.store_admin = secrets.token_urlsafe(24)
        users.write_text(f"""<clickhouse>
  <profiles><default/></profiles><quotas><default/></quotas>
  <users>
    <admin><password>{admin}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
      <quota>default</quota><access_management>1</access_management></admin>
    <!-- The session inside the process that opens the listeners; it may do nothing else. -->
    <default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT READ ON FILE</query>
        <query>GRANT CREATE TEMPORARY TABLE ON *.*</query></grants></default>
    {"".join(map(self.store_user, self.store_passwords))}
  </users>
</clickhouse>""")
        config = self.folder / "clickhouse.xml"
        config.write_text(f"""<clickhouse>
  <max_server_memory_usage>2147483648</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size><index_mark_cache_size>67108864</index_mark_cache_size>
  <primary_index_cache_size>67108864</primary_index_cache_size>
  <background_pool_size>2</background_pool_size><background_schedule_pool_size>4</background_schedule_pool_size>
  <users_config>{users}</users_config>
  <access_control_improvements>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
  </access_control_improvements>
</clickhouse>""")
        command = [
            self.binaries / "tollbooth-clickhouse", f"{self.fetched('ClickHouse')}",
            "clickhouse", "--multiquery", "--listen_host=127.0.0.1", "--logger.console=1", "--log-level=error",
            f"--config-file={config}", f"--path={self.folder}/clickhouse", f"--http_port={self.http_port}",
            "--query=SYSTEM START LISTEN HTTP; "
            "SELECT count() FROM file('stdin', 'LineAsString', 'line String') FORMAT Null",
        ]
        self.clickhouse = self.start("clickhouse", command, stdin=subprocess.PIPE)
        self.clickhouse.ready("ClickHouse answers", lambda: self.sql("SELECT 1", "admin", admin)[0] == 200)
        for statement in self.role_statements():
            # The grants are in force above; of the rest this server can only say that it understands it.
            asked = statement if statement.startswith("CREATE DATABASE") else f"EXPLAIN AST {statement}"
            status, text = self.sql(asked, "admin", admin)
            if status != 200:
                raise Failed(f"{statement}: {text}")
        if self.is_encrypted:
            self.encrypt(self.https_port, self.http_port)

    def encrypt(self, port, behind):
        """TLS in front of a port: this ClickHouse comes as a library, whose listeners speak none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")

        async def copy(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        async def serve(reader, writer):
            plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", behind)
            await asyncio.gather(copy(reader, plain_writer), copy(plain_reader, writer))

        async def listen():
            server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
            async with server:
                listening.set()
                await server.serve_forever()

        listening = threading.Event()
        threading.Thread(target=lambda: asyncio.run(listen()), daemon=True).start()
        listening.wait()

    def sql(self, statement, user, password):
        """Status and text of a statement over plain HTTP."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/", statement.encode(),
            {"X-ClickHouse-User": user, "X-ClickHouse-Key": password})
        return answered(request)

    # --- services

    def environment(self, service, user=None, store_user=None, **changes):
        """What a service is told. Its secrets stand in files."""
        section = {"effects": "INGEST", "sink": "METER", "verify": "METER", "topics": "METER", "rebuild": "METER"}.get(service, service.upper())
        own = f"TOLLBOOTH_{section}__"
        user = user or f"tollbooth-{service}"
        store_user = store_user or {"meter": "tollbooth_sink", "topics": "tollbooth_sink", "effects": "tollbooth_ingest"}.get(service, f"tollbooth_{service}")
        environment = {name: os.environ[name] for name in ["PATH", "HOME"] if name in os.environ}
        environment |= {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            f"{own}KAFKA__SETTINGS__SECURITY_PROTOCOL": self.protocol,
            f"{own}KAFKA__SETTINGS__SASL_MECHANISM": self.mechanism,
            f"{own}KAFKA__SETTINGS__SASL_USERNAME": user,
            f"{own}KAFKA__SETTINGS__SASL_PASSWORD_FILE": self.secret(user, self.passwords[user]),
            "CLICKHOUSE_DATABASE": DATABASE,
            "CLICKHOUSE_URL": f"https://127.0.0.1:{self.https_port}" if self.is_encrypted else f"http://127.0.0.1:{self.http_port}",
            "CLICKHOUSE_USER": store_user,
            "CLICKHOUSE_PASSWORD_FILE": self.secret(store_user, self.store_passwords[store_user]),
            "TOLLBOOTH_ADMIN_KEY_FILE": self.secret("admin-key", self.admin_key),
            "TOLLBOOTH_FORWARD_SECRET_FILE": self.secret("forward", self.shared_secret),
        }
        if self.is_encrypted:
            environment[f"{own}KAFKA__SETTINGS__SSL_CA_LOCATION"] = str(self.folder / "ca.pem")
            environment[f"{own}CLICKHOUSE__CA_LOCATION"] = str(self.folder / "ca.pem")
        if section != "QUERY":
            environment |= {f"{own}TOPICS__PARTITIONS": PARTITIONS, f"{own}TOPICS__REPLICATION": "1"}
        if section == "METER":
            environment |= {f"{own}MEMBER_ID": service, f"{own}SINK_ENABLED": "false"}
        if section == "INGEST":
            environment |= {f"{own}PURCHASES__PROVIDER": "sandbox", f"{own}PRICE_BOOK_LEAD_MS": "0",
                            f"{own}WEBHOOKS__SECRET_FILE": self.secret("webhooks", self.shared_secret),
                            f"{own}WEBHOOKS__ALLOW_HTTP": "true", f"{own}WEBHOOKS__ALLOW_PRIVATE_ADDRESSES": "true"}
        return environment | changes

    def secret(self, name, value):
        path = self.folder / "secrets" / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # Once: a service that starts may be reading it.
        if not path.exists():
            path.write_text(value + "\n")
        return str(path)

    def command(self, service):
        program, word = {
            "ingest": ("ingest", "serve"), "effects": ("ingest", "effects"), "meter": ("meter", "run"),
            "sink": ("meter", "sink"), "query": ("query", "serve"), "verify": ("meter", "verify"), "topics": ("meter", "topics"),
            "rebuild": ("meter", "rebuild"),
        }[service]
        arguments = ["--database", DATABASE_NEXT] if service == "rebuild" else []
        return [self.binaries / f"tollbooth-{program}", word, *arguments]

    def run(self, service, patience_s=PATIENCE_S, **how):
        """Runs to the end; status and what it said."""
        try:
            done = subprocess.run([str(part) for part in self.command(service)], env=self.environment(service, **how),
                                  capture_output=True, text=True, timeout=patience_s, cwd=self.folder)
            return done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            said = b"".join(part for part in [late.stdout, late.stderr] if part)
            return None, said.decode(errors="replace")

    def start_service(self, service, name=None, **how):
        """Starts it on ports of its own: `.api` and `.operations` are its addresses."""
        api, operations = free_port(), free_port()
        own = {"effects": "TOLLBOOTH_INGEST__EFFECTS__", "sink": "TOLLBOOTH_METER__SINK_"}.get(service, f"TOLLBOOTH_{service.upper()}__")
        ports = {f"{own}OPS_LISTEN": f"127.0.0.1:{operations}"}
        if service in ["ingest", "query"]:
            ports[f"{own}LISTEN"] = f"127.0.0.1:{api}"
        if service == "query":
            ports |= {"TOLLBOOTH_QUERY__FORWARD__INGEST_URL": f"http://127.0.0.1:{api}"}
        environment = self.environment(service, **how) | ports
        process = self.start(name or service, self.command(service), environment=environment)
        process.api, process.operations = f"http://127.0.0.1:{api}", f"http://127.0.0.1:{operations}"
        return process

    def start(self, name, command, **how):
        process = Process(name, command, self.folder / f"{name}.log", **how)
        self.processes.append(process)
        return process

    def api(self, method, url, body=None, key=None):
        """Status and JSON of a request with the admin's key."""
        headers = {"Authorization": f"Bearer {key or self.admin_key}", "Content-Type": "application/json",
                   "Idempotency-Key": f'"{secrets.token_hex(8)}"'}
        if url.endswith("/v1/events"):
            headers["Content-Type"] = "application/cloudevents+json"
        status, text = answered(urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method))
        return status, json.loads(text) if text.startswith(("{", "[")) else text

    def close(self):
        for process in reversed(self.processes):
            if process.is_running():
                process.child.kill()
                process.child.wait()


def answered(request):
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError) as away:
        return 0, str(away)
