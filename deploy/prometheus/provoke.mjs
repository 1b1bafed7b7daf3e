// Provokes alerts on a running local stack whose Prometheus has the faster rules, and says which fired, how soon, and which
// went away again. See docs/local.md, "Observing".
//
//   node deploy/prometheus/provoke.mjs [DIR] [WORD...]     DIR: the stack's folder, default .local; WORD: of the names below
//
// It stops and continues processes, and damages rows of ClickHouse and mends them: for a stack of trial only.
import { spawn } from "node:child_process";
import fs from "node:fs";

import { SETTINGS, Stripe, webhook } from "./stripe.mjs";

const dir = process.argv[2] ?? ".local";
const run = JSON.parse(fs.readFileSync(`${dir}/up.json`, "utf8"));
const addresses = Object.fromEntries(run.addresses);
const pids = Object.fromEntries(run.processes);
const env = Object.fromEntries(
    fs.readFileSync(`${dir}/demo.env`, "utf8").trim().split("\n").map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1).replace(/^'|'$/g, "")];
    }),
);
const account = env.TOLLBOOTH_ACCOUNT_ID;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Whatever ends this script, nothing stays stopped.
process.on("SIGTERM", () => process.exit(143));
const children = new Set();
process.on("exit", () => {
    for (const child of children) child.kill("SIGKILL");
    for (const name of ["clickhouse", "kafka", "meter", "ingest", "query"])
        try {
            process.kill(pids[name], "SIGCONT");
        } catch {
            // It is gone.
        }
});
const quietly = (promise) => promise.catch(() => undefined);

/** First seen firing, in ms since the provocation. */
const firing = async () => {
    const answer = await (await fetch(`${addresses.prometheus}/api/v1/alerts`)).json();
    return new Set(answer.data.alerts.filter((alert) => alert.state === "firing").map((alert) => alert.labels.alertname));
};

const post = (url, key, type, body, patience = 4000) =>
    quietly(
        fetch(url, {
            method: "POST",
            headers: { authorization: `Bearer ${key}`, "content-type": type },
            body: JSON.stringify(body),
            signal: AbortSignal.timeout(patience),
        }),
    );
let number = 0;
const event = (more = {}, data = {}) => {
    number += 1;
    const id = `provoked-${Date.now()}-${number}`;
    return {
        specversion: "1.0", id, source: "/booths/bth_provoke", type: "tollbooth.usage.v1", subject: account,
        time: new Date().toISOString(), ...more,
        data: {
            operation_id: id, booth_id: "bth_provoke", service: "ai_modify", engine: "nano_banana_2", unit: "image",
            quantity: "1", status: "success", ...data,
        },
    };
};
const events = (batch, patience) =>
    post(`${env.TOLLBOOTH_INGEST_URL}/v1/events`, env.TOLLBOOTH_BOOTH_KEY, "application/cloudevents-batch+json", batch, patience);
const sql = async (statement) => {
    const url = `${env.CLICKHOUSE_URL}/?database=${env.CLICKHOUSE_DATABASE}`;
    const answer = await fetch(url, { method: "POST", body: statement });
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.text()).trim();
};
const many = (count, make) => Array.from({ length: count }, make);
/** Does it once a second until the end of the provocation. */
const often = (work) => async (isOver) => {
    while (!isOver()) {
        await work();
        await sleep(500);
    }
};
const stopped = (name, meanwhile = async () => {}) => ({
    begin: async (isOver) => {
        process.kill(pids[name], "SIGSTOP");
        while (!isOver()) {
            await meanwhile();
            await sleep(500);
        }
    },
    end: async () => process.kill(pids[name], "SIGCONT"),
});
/** Stands still and goes on, again and again. */
const stuttering = (name, still, going, meanwhile = async () => {}) => ({
    begin: async (isOver) => {
        while (!isOver()) {
            process.kill(pids[name], "SIGSTOP");
            await sleep(still);
            process.kill(pids[name], "SIGCONT");
            await Promise.all([meanwhile(), sleep(going)]);
        }
    },
    end: async () => process.kill(pids[name], "SIGCONT"),
});
const adminKey = fs.readFileSync(`${dir}/admin.key`, "utf8").trim();
/** A command of an administrator, straight to ingest: a cent, given. */
const command = () => {
    number += 1;
    const url = `${env.TOLLBOOTH_INGEST_URL}/v1/accounts/${account}/adjustments`;
    const headers = {
        authorization: `Bearer ${adminKey}`, "content-type": "application/json",
        "idempotency-key": `"provoked-${Date.now()}-${number}"`,
    };
    const body = JSON.stringify({ amount: "0.01", reason: "provoked" });
    return quietly(fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(12000) }));
};
/** Who signed in with a browser changes something: query passes it on to ingest. */
const signIn = async () => {
    const url = `${env.TOLLBOOTH_QUERY_URL}/v1/session`;
    const body = JSON.stringify({ key: env.TOLLBOOTH_ACCOUNT_KEY });
    const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { csrf_token: csrf } = await answer.json();
    const cookie = answer.headers.get("set-cookie").split(";")[0];
    return () => {
        number += 1;
        const headers = {
            cookie, "x-csrf-token": csrf, "content-type": "application/json",
            "idempotency-key": `"provoked-${Date.now()}-${number}"`,
        };
        const to = `${env.TOLLBOOTH_QUERY_URL}/v1/accounts/${account}/purchases`;
        const purchase = JSON.stringify({ amount: "50.00", payment_method: "4242424242424242" });
        return quietly(fetch(to, { method: "POST", headers, body: purchase, signal: AbortSignal.timeout(40000) }));
    };
};
/** A process that ends with this one. */
const started = (program, given, options) => {
    const child = spawn(program, given, options);
    children.add(child);
    child.on("exit", () => children.delete(child));
    return child;
};
/** One of Kafka's own tools, out of the running broker's folder. */
const kafkaTool = (name, given, input) => {
    const [java, ...broker] = fs.readFileSync(`/proc/${pids.kafka}/cmdline`, "utf8").split("\0");
    const options = ["-Xmx128m", "-cp", broker[broker.indexOf("-cp") + 1], `org.apache.kafka.tools.${name}`];
    const bootstrap = ["--bootstrap-server", env.KAFKA_BOOTSTRAP];
    const tool = started(java, [...options, ...bootstrap, ...given], { stdio: ["pipe", "pipe", "ignore"] });
    tool.stdout.resume();
    tool.stdin.end(input);
    return tool;
};
const ended = (child) =>
    new Promise((resolve, reject) =>
        child.on("exit", (status) => (status === 0 ? resolve() : reject(new Error(`${child.spawnargs.join(" ")}: status ${status}`)))),
    );
const output = async (tool) => {
    let text = "";
    tool.stdout.on("data", (some) => (text += some));
    await new Promise((resolve) => tool.on("close", resolve));
    return text;
};
/** Where partitions of a topic end. */
const ends = async (topic) => {
    const text = await output(kafkaTool("GetOffsetShell", ["--topic", `tollbooth.${topic}`]));
    return new Map(text.trim().split("\n").map((line) => line.split(":").slice(1).map(Number)));
};
/** Appends a record past everybody; a value of `undefined` deletes the key of a compacted topic. */
const append = (topic, key, value = "NULL") => {
    const properties = ["parse.key=true", "key.separator==", "null.marker=NULL"].flatMap((one) => ["--property", one]);
    return ended(kafkaTool("ConsoleProducer", ["--topic", `tollbooth.${topic}`, ...properties], `${key}=${value}\n`));
};
/** A member of the effects' group that takes half of the outbox, reads it and carries nothing out. */
const intruder = () => {
    const properties = [
        // It comes before the effects, and gets the first half, the account's partition in it.
        "group.instance.id=a", "enable.auto.commit=false",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor",
    ].flatMap((property) => ["--consumer-property", property]);
    return kafkaTool("consumer.ConsoleConsumer", ["--topic", "tollbooth.outbox", "--group", "tollbooth-effects", ...properties]);
};
let stranger;
/** How to start another process like one that runs, told something else where `more` says so. */
const copyOf = (pid, more = {}) => {
    const [program, ...given] = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    const told = fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
    const variables = Object.fromEntries(told.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    return () => started(program, given, { stdio: "ignore", env: { ...variables, ...more } });
};
const isReady = async (name) => (await quietly(fetch(`${addresses[`${name} operations`]}/readyz`)))?.status === 200;
/** Prometheus reads its configuration, changed, or again as it was. */
const prometheusFile = `${dir}/prometheus/prometheus.yml`;
const reconfigure = (change) => {
    const configuration = JSON.parse(fs.readFileSync(prometheusFile, "utf8"));
    change(configuration);
    fs.writeFileSync(prometheusFile, `${JSON.stringify(configuration, null, 2)}\n`);
    process.kill(pids.prometheus, "SIGHUP");
};
/** Sets how many files a process may have open. */
const limitFiles = (pid, soft) => ended(started("prlimit", ["--pid", `${pid}`, `--nofile=${soft}:`], { stdio: "ignore" }));
const openFiles = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
const softLimit = (pid) => Number(/Max open files\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/limits`, "utf8"))[1]);
/** The process of a service at the moment: it may have been started again. */
const now = (name) => Object.fromEntries(JSON.parse(fs.readFileSync(`${dir}/up.json`, "utf8")).processes)[name];
/** Somebody comes back to a stream after all that memory has dropped. */
const comeBack = async () => {
    const stop = new AbortController();
    const answer = await quietly(
        fetch(`${env.TOLLBOOTH_QUERY_URL}/v1/accounts/${account}/stream?topics=transactions&after=1`, {
            headers: { authorization: `Bearer ${env.TOLLBOOTH_ACCOUNT_KEY}` },
            signal: AbortSignal.any([stop.signal, AbortSignal.timeout(8000)]),
        }),
    );
    const reader = answer?.body?.getReader();
    for (let text = ""; reader && !text.includes("event: resync"); ) {
        const { value, done } = (await quietly(reader.read())) ?? { done: true };
        if (done) break;
        text += new TextDecoder().decode(value);
    }
    stop.abort();
};
/** As an administrator; throws where it is refused. */
const admin = async (method, path, body) => {
    number += 1;
    const headers = {
        authorization: `Bearer ${adminKey}`, "content-type": "application/json",
        "idempotency-key": `"provoked-${Date.now()}-${number}"`,
    };
    const request = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(12000) };
    const answer = await fetch(`${env.TOLLBOOTH_INGEST_URL}${path}`, request);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
};
const opened = () => admin("POST", "/v1/accounts", { name: "Provoked", plan: "basic", currency: "USD", time_zone: "UTC" });
/** An account without credit recharges at once. */
const recharge = async (id) => {
    await admin("PUT", `/v1/accounts/${id}/recharge`, { enabled: true, threshold: "20.00", amount: "50.00" });
    rules.push(id);
};
/** No recharge fails again later. */
const done = async () => {
    const off = { enabled: false, threshold: "20.00", amount: "50.00" };
    await Promise.all(rules.splice(0).map((id) => admin("PUT", `/v1/accounts/${id}/recharge`, off)));
};
/** What effects were not told, for `make up`. */
const lacking = (settings, how) => () => {
    const given = new Set(fs.readFileSync(`/proc/${now("effects")}/environ`, "utf8").split("\0"));
    return Object.entries(settings).every(([name, value]) => given.has(`${name}=${value}`)) ? undefined : how;
};
const lacksStripe = lacking(SETTINGS, "`env $(node deploy/prometheus/stripe.mjs) make up ...`");
let stripe;
/** With a Stripe of ours from the begin on: payments of before are none of this one's. */
const withStripe = (begin) => async (isOver) => {
    stripe ??= new Stripe();
    await stripe.listening;
    stripe.mode = "well";
    await begin(isOver);
};
const savedCard = (id) => admin("PUT", `/v1/accounts/${id}/payment-method`, { customer_id: "cus_trial", payment_method_id: "pm_card_visa" });
const buy = () => quietly(admin("POST", `/v1/accounts/${account}/purchases`, { amount: "50.00" }));
/** Money is taken, and the answer is lost: nobody knows of it but Stripe. */
const buyUnheard = async () => {
    await savedCard(account);
    stripe.mode = "lost";
    while (stripe.mode === "lost") await buy();
    // Until the process that asked has given it up.
    await sleep(3000);
    return stripe.intents.at(-1);
};
const tell = (type, object, secret) => {
    const { body, signature } = webhook(type, object, secret);
    const headers = { "content-type": "application/json", "stripe-signature": signature };
    return quietly(fetch(`${env.TOLLBOOTH_INGEST_URL}/v1/payments/stripe`, { method: "POST", headers, body, signal: AbortSignal.timeout(12000) }));
};
/** A test card of the sandbox. */
const CARD = "TOLLBOOTH_INGEST__EFFECTS__SANDBOX_CARD";
const DECLINES = "4000000000000002";
const webhooks = `/v1/accounts/${account}/webhooks`;
let unreachable = [];
let files;
let lost;
let changed;
let twin;
const rules = [];
let targets;
const effectsOf = (configuration) => configuration.scrape_configs.find((job) => job.job_name === "tollbooth-effects");
const read = (path) =>
    quietly(
        fetch(`${env.TOLLBOOTH_QUERY_URL}${path}`, {
            headers: { authorization: `Bearer ${env.TOLLBOOTH_ACCOUNT_KEY}` },
            signal: AbortSignal.timeout(4000),
        }),
    );
const history = () => {
    const day = new Date(Date.now() - 86_400_000).toISOString();
    const path = `/v1/accounts/${account}/usage?from=${day}&to=${new Date().toISOString()}&bucket=hour&tz=UTC`;
    // Another zone each time: what is kept would be answered from memory.
    return read(`${path.replace("tz=UTC", `tz=Etc/GMT%2B${number++ % 12}`)}`);
};
const duplicate = event();

/** By name: what is done, the alerts that must follow, and how long they may take. */
const provocations = [
    {
        name: "a rollup is damaged", expected: ["BalanceDrift"], seconds: 60,
        begin: () =>
            sql(`INSERT INTO usage_15m_by_booth (account_id, booth_id, bucket, amount) VALUES ('${account}', 'bth_x', now(), 7)`),
        end: () => sql(`ALTER TABLE usage_15m_by_booth DELETE WHERE booth_id = 'bth_x' SETTINGS mutations_sync = 2`),
        passes: 40,
    },
    {
        name: "usage of an engine without a price, and a contradiction", seconds: 20,
        expected: ["UnpricedUsage", "DeadLetters", "LedgerConflicts"],
        begin: async (isOver) => {
            await events([duplicate]);
            await often(() =>
                events([event({}, { engine: "prototype" }), { ...duplicate, data: { ...duplicate.data, quantity: "2" } }]),
            )(isOver);
        },
    },
    {
        name: "a booth sends the same in a loop", expected: ["DuplicateSpike"], seconds: 45,
        begin: often(() => events(many(100, () => duplicate))),
    },
    {
        name: "events that are refused, and late ones", expected: ["EventsRejected", "LatenessSpike"], seconds: 60,
        begin: often(() =>
            events([
                ...many(60, () => event({}, { quantity: "-1" })),
                ...many(60, () => event({ time: new Date(Date.now() - 40 * 3_600_000).toISOString() })),
            ]),
        ),
    },
    {
        name: "somebody guesses keys", expected: ["SignInsLimited"], seconds: 30,
        begin: often(() =>
            Promise.all(many(30, () => post(`${env.TOLLBOOTH_QUERY_URL}/v1/session`, "x", "application/json", { key: "tb_sk_live_x" }))),
        ),
    },
    {
        name: "ClickHouse stands still", expected: ["RollupStale", "NotReady", "ReconciliationStale", "QueryAvailabilityBurn"],
        seconds: 75, ...stopped("clickhouse", () => Promise.all(many(24, history))), passes: 60,
    },
    {
        name: "the broker stands still", expected: ["IngestAvailabilityBurn", "BrokerErrors", "AuditTrailFailing"], seconds: 90,
        // Not waited for, and patient: who leaves before ingest says 503 is `aborted`, which is no error of ingest's.
        ...stopped("kafka", async () => void many(8, () => events([event()], 60_000)).concat(command())), passes: 90,
    },
    {
        name: "the meter stands still", expected: ["TargetDown", "NoActiveSink", "RepliesLate"], seconds: 60,
        ...stopped("meter", async () => void many(6, command)), passes: 60,
    },
    {
        name: "the meter stutters", expected: ["LedgerLatencyBurn"], seconds: 90,
        ...stuttering("meter", 3000, 2000, () => events(many(50, () => event()))), passes: 90,
    },
    {
        name: "query stutters", expected: ["LiveViewSlow"], seconds: 90,
        ...stuttering("query", 4000, 2500, () => events(many(50, () => event()))), passes: 60,
    },
    {
        name: "ClickHouse stutters", expected: ["SinkInsertSlow"], seconds: 120,
        ...stuttering("clickhouse", 8000, 1500, () => events(many(50, () => event()))), passes: 60,
    },
    {
        name: "ingest stands still while people change things", expected: ["ForwardFailing"], seconds: 90,
        begin: async (isOver) => {
            const change = await signIn();
            process.kill(pids.ingest, "SIGSTOP");
            while (!isOver()) {
                // Not waited for: each takes until query gives it up.
                void change();
                await sleep(1000);
            }
        },
        end: async () => process.kill(pids.ingest, "SIGCONT"), passes: 90,
    },
    {
        name: "a stranger takes a part of the outbox", expected: ["OutboxWaiting"], seconds: 90,
        begin: async (isOver) => {
            const change = await signIn();
            stranger = intruder();
            while (!isOver()) {
                await Promise.all([change(), sleep(2000)]);
            }
        },
        end: async () => stranger.kill("SIGKILL"), passes: 60,
    },
    {
        name: "endpoints of webhooks are not there", expected: ["DeliveriesFailing"], seconds: 90,
        begin: async () => {
            // Names under .invalid never are (RFC 2606). Each is tried at once, and again after 5 and 10 s.
            const url = (index) => ({ url: `https://hook-${index}.invalid/`, event_types: ["alert.*"] });
            unreachable = await Promise.all(many(8, (_, index) => admin("POST", webhooks, url(index))));
            await Promise.all(unreachable.map(({ webhook_id: id }) => admin("POST", `${webhooks}/${id}/ping`, {})));
        },
        end: () => Promise.all(unreachable.map(({ webhook_id: id }) => admin("DELETE", `${webhooks}/${id}`))), passes: 90,
    },
    {
        name: "saved cards are declined", expected: ["RechargeFailing"], seconds: 60,
        lacks: lacking({ [CARD]: DECLINES }, `\`${CARD}=${DECLINES} make up ...\``),
        begin: async () => {
            for (let turn = 0; turn < 8; turn += 1) await recharge((await opened()).account_id);
        },
        end: done, passes: 60,
    },
    {
        name: "an effect that nobody knows", expected: ["EffectsUnreadable"], seconds: 30,
        begin: () => append("outbox", account, "no effect"), passes: 120,
    },
    {
        name: "a price book that nobody can read", expected: ["ConsumerStuck", "ConsumerLagHigh"], seconds: 150,
        begin: async (isOver) => {
            await append("price-book", "provoked", "no price book");
            await often(() => events(many(20, () => event())))(isOver);
        },
        end: () => append("price-book", "provoked"), passes: 90,
    },
    {
        name: "two meters have one name", expected: ["MeterFenced"], seconds: 45,
        begin: async () => {
            const more = { TOLLBOOTH_METER__OPS_LISTEN: "127.0.0.1:0", TOLLBOOTH_METER__SINK_OPS_LISTEN: "127.0.0.1:0" };
            twin = copyOf(pids.meter, { ...more, TOLLBOOTH_METER__STORE__DIR: "" })();
        },
        end: async () => twin.kill(), passes: 60,
    },
    {
        name: "records are deleted before they are read", expected: ["PartitionRefused", "PartitionNotServed"], seconds: 60,
        begin: async () => {
            process.kill(pids.meter, "SIGSTOP");
            const before = await ends("usage");
            await events(many(100, () => event()));
            const grown = [...(await ends("usage"))].map(([partition, end]) => [partition, end - before.get(partition)]);
            lost = grown.sort(([, one], [, other]) => other - one)[0][0];
            const file = `${dir}/provoked.json`;
            const partitions = [{ topic: "tollbooth.usage", partition: lost, offset: -1 }];
            fs.writeFileSync(file, JSON.stringify({ version: 1, partitions }));
            await ended(kafkaTool("DeleteRecordsCommand", ["--offset-json-file", file]));
            fs.rmSync(file);
            process.kill(pids.meter, "SIGCONT");
        },
        // As the page says: the loss is accepted, by an offset that is committed while the group has no member.
        end: async () => {
            process.kill(pids.meter, "SIGSTOP");
            const reset = ["--topic", `tollbooth.usage:${lost}`, "--reset-offsets", "--to-earliest", "--execute"];
            const group = ["--group", "tollbooth-meter"];
            for (let text = ""; !text.includes(`tollbooth.usage ${lost} `); )
                text = (await output(kafkaTool("consumer.group.ConsumerGroupCommand", [...group, ...reset]))).replace(/ +/g, " ");
            process.kill(pids.meter, "SIGCONT");
        },
        passes: 60,
    },
    {
        name: "people come back to streams while ClickHouse stands still", expected: ["SseDrops"], seconds: 60,
        ...stopped("clickhouse", () => Promise.all(many(40, comeBack))), passes: 60,
    },
    {
        name: "Prometheus finds no target of a job", expected: ["JobAbsent"], seconds: 30,
        // Its targets, as when discovery finds none. Without the job itself the last sample would count for another five minutes.
        begin: async () => reconfigure((it) => (targets = effectsOf(it).static_configs.splice(0))),
        end: async () => reconfigure((it) => effectsOf(it).static_configs.push(...targets)),
        passes: 30,
    },
    {
        name: "query may open few files", expected: ["FileDescriptorsLow"], seconds: 60,
        begin: async () => {
            files = softLimit(pids.query);
            await limitFiles(pids.query, openFiles(pids.query) + 8);
        },
        end: () => limitFiles(pids.query, files), passes: 60,
    },
    {
        name: "Stripe does not take the key", expected: ["PaymentProviderUnavailable"], seconds: 60, lacks: lacksStripe,
        begin: withStripe(async (isOver) => {
            await savedCard(account);
            stripe.mode = "unauthorized";
            await often(buy)(isOver);
        }),
        end: async () => (stripe.mode = "well"), passes: 60,
    },
    {
        name: "Stripe does not answer", expected: ["EffectsStuck", "PaymentReconciliationStale"], seconds: 180, lacks: lacksStripe,
        begin: withStripe(async () => {
            const { account_id } = await opened();
            await savedCard(account_id);
            stripe.mode = "away";
            await recharge(account_id);
        }),
        end: async () => (stripe.mode = "well"), passes: 120,
    },
    {
        name: "webhooks with another secret", expected: ["PaymentWebhooksRefused"], seconds: 30, lacks: lacksStripe,
        begin: often(() => tell("payment_intent.succeeded", {}, "whsec_of_somebody")), passes: 60,
    },
    {
        name: "a payment of which no webhook told", expected: ["PaymentWebhooksMissing"], seconds: 60, lacks: lacksStripe,
        begin: withStripe(async () => {
            await buyUnheard();
            stripe.mode = "well";
        }),
        passes: 90,
    },
    {
        name: "a payment that somebody changed at Stripe", expected: ["PaymentsNotPosted"], seconds: 60, lacks: lacksStripe,
        begin: withStripe(async () => {
            changed = await buyUnheard();
            changed.amount_received += 100;
            stripe.mode = "well";
        }),
        // As if it were refunded there: it is looked at no more.
        end: async () => (stripe.intents = stripe.intents.filter((intent) => intent !== changed)), passes: 90,
    },
    {
        name: "a payer's bank takes money back", expected: ["PaymentsDisputed"], seconds: 60, lacks: lacksStripe,
        begin: withStripe(async () => {
            await savedCard(account);
            await buy();
            await tell("charge.dispute.created", stripe.dispute(stripe.intents.at(-1)));
        }),
        passes: 90,
    },
    {
        name: "a process ends again and again", expected: ["RestartLoop"], seconds: 60,
        // `up` starts it again after 1, 5 and 15 s, and no fourth time within ten minutes: what happens in the last of these
        // pauses is ours.
        begin: async (isOver) => {
            const copy = copyOf(now("effects"));
            for (let turn = 0; turn < 2; turn += 1) {
                const before = now("effects");
                process.kill(before, "SIGKILL");
                while (!now("effects") || now("effects") === before || !(await isReady("effects"))) await sleep(100);
                await sleep(1200);
            }
            process.kill(now("effects"), "SIGKILL");
            for (let turn = 0; turn < 2; turn += 1) {
                const own = copy();
                while (!(await isReady("effects")) && !isOver()) await sleep(100);
                await sleep(1200);
                own.kill("SIGKILL");
            }
        },
        passes: 60,
    },
];

const only = process.argv.slice(3);
let missing = 0;
for (const { name, expected, seconds, lacks, begin, end, passes } of provocations) {
    if (only.length && !only.some((word) => name.includes(word))) continue;
    const lacking = lacks?.();
    if (lacking) {
        console.log(`${name}: left out, it takes ${lacking}`);
        continue;
    }
    const before = await firing();
    const started = Date.now();
    let isOver = false;
    const work = Promise.resolve(begin(() => isOver)).catch((error) => console.error(`  ${error.message}`));
    const seen = new Map();
    while (Date.now() - started < seconds * 1000 && !expected.every((alert) => seen.has(alert))) {
        await sleep(500);
        for (const alert of (await quietly(firing())) ?? [])
            if (!seen.has(alert) && (expected.includes(alert) || !before.has(alert)))
                seen.set(alert, before.has(alert) ? "before" : `${((Date.now() - started) / 1000).toFixed(1)} s`);
    }
    isOver = true;
    await Promise.resolve(end?.()).catch((error) => console.error(`  ${error.message}`));
    await work;
    const absent = expected.filter((alert) => !seen.has(alert));
    missing += absent.length;
    console.log(`${name}: ${[...seen].map(([alert, after]) => `${alert} (${after})`).join(", ") || "nothing fired"}`);
    if (absent.length) console.log(`  in vain: ${absent.join(", ")}`);
    if (passes) {
        const mended = Date.now();
        let left = expected;
        while (left.length && Date.now() < mended + passes * 1000) {
            await sleep(500);
            const still = (await quietly(firing())) ?? new Set(left);
            left = left.filter((alert) => still.has(alert));
        }
        const after = ((Date.now() - mended) / 1000).toFixed(1);
        console.log(left.length ? `  still firing after ${passes} s: ${left.join(", ")}` : `  over again after ${after} s`);
    }
}
process.exit(missing ? 1 : 0);
