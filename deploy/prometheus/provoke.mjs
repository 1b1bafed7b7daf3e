// Provokes alerts on a running local stack whose Prometheus has the faster rules, and says which fired, how soon, and which
// went away again. See docs/alerts.md, "Provoked for real".
//
//   node deploy/prometheus/provoke.mjs [DIR] [WORD...]     DIR: the stack's folder, default .local; WORD: of the names below
//
// It stops and continues processes, and damages rows of ClickHouse and mends them: for a stack of trial only.
import fs from "node:fs";

import { PAGE_OVER_SIX_HOURS, TICKET, burning } from "./provoke/burn.mjs";
import { append, comeAndGo, ends, intruder, kafkaTool, output } from "./provoke/kafka.mjs";
import { buy, buyUnheard, lacksStripe, savedCard, stripe, tell, withStripe } from "./provoke/payments.mjs";
import { beginSecond, endSecond, freezeSecond, thawSecond } from "./provoke/sinks.mjs";
import {
    account, admin, asksHelp, comeBack, command, copyOf, crowd, deaf, dir, dismissed, done, ended, endedOf, env, event, events,
    firing, history, isAmong, isReady, jobOf, lacking, limitFiles, load, many, now, often, openFiles, opened, pids, pipelineRules, post, quietly,
    recharge, reconfigure, restarted, signIn, sleep, softLimit, sql, stopped, stuttering, throttled,
} from "./provoke/stack.mjs";

let stranger;
/** A test card of the sandbox. */
const CARD = "TOLLBOOTH_INGEST__EFFECTS__SANDBOX_CARD";
const DECLINES = "4000000000000002";
const webhooks = `/v1/accounts/${account}/webhooks`;
const ROLLUPS = ["usage_15m_by_account", "usage_15m_by_event", "usage_15m_by_booth"];
let gone;
let unreachable = [];
let unread = [];
let files;
let lost;
let changed;
let twin;
let targets;
const duplicate = event();

/** By name: what is done, the alerts that must follow, with severity and window where a name has several, and how long they may take. */
const provocations = [
    // These first: what was out of order before would be counted on.
    {
        name: "budgets are used up at three times their pace", seconds: 240,
        expected: ["IngestAvailabilityBurn ticket", "LedgerLatencyBurn ticket", "QueryAvailabilityBurn ticket"],
        begin: burning(TICKET), passes: 500,
    },
    {
        name: "budgets are used up at eleven times their pace", seconds: 240,
        expected: ["IngestAvailabilityBurn page 6h", "LedgerLatencyBurn page 6h", "QueryAvailabilityBurn page 6h"],
        begin: burning(PAGE_OVER_SIX_HOURS), passes: 500,
    },
    {
        name: "a rollup is damaged", expected: ["BalanceDrift"], seconds: 60,
        begin: () =>
            sql(`INSERT INTO usage_15m_by_booth (account_id, booth_id, bucket, amount) VALUES ('${account}', 'bth_x', now(), 7)`),
        end: () => sql(`ALTER TABLE usage_15m_by_booth DELETE WHERE booth_id = 'bth_x' SETTINGS mutations_sync = 2`),
        passes: 40,
    },
    {
        name: "an account goes from every table", expected: ["LedgerDrift"], seconds: 60,
        begin: async () => {
            gone = (await opened()).account_id;
            while ((await sql(`SELECT count() FROM ledger WHERE account_id = '${gone}'`)) === "0") await sleep(200);
            await sql(`CREATE TABLE provoked ENGINE = MergeTree ORDER BY seq AS SELECT * FROM ledger WHERE account_id = '${gone}'`);
            for (const table of ["ledger", "account_balances", ...ROLLUPS])
                await sql(`ALTER TABLE ${table} DELETE WHERE account_id = '${gone}' SETTINGS mutations_sync = 2`);
        },
        // Its views fill the other tables.
        end: async () => {
            await sql("INSERT INTO ledger SELECT * FROM provoked");
            await sql("DROP TABLE provoked");
        },
        passes: 60,
    },
    {
        name: "usage of an engine without a price, and a contradiction", seconds: 20,
        expected: ["UnpricedUsage", "DeadLetters ticket", "LedgerConflicts"],
        begin: async (isOver) => {
            await events([duplicate]);
            await often(() =>
                events([event({}, { engine: "prototype" }), { ...duplicate, data: { ...duplicate.data, quantity: "2" } }]),
            )(isOver);
        },
        // Letters are open until somebody decides; contradictions are counted in a window.
        end: dismissed("no_price", "conflict"), passes: 90,
    },
    {
        name: "a gateway sends what has no price, in numbers", expected: ["DeadLetters page"], seconds: 45,
        begin: often(() => events(many(10, () => event({}, { engine: "prototype" })))),
        end: dismissed("no_price"), passes: 60,
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
        name: "ClickHouse stands still", expected: ["RollupStale", "NotReady", "ReconciliationStale", "QueryAvailabilityBurn page"],
        seconds: 75, ...stopped("clickhouse", () => Promise.all(many(24, history))), passes: 60,
    },
    {
        name: "ClickHouse stutters, and many ask", expected: ["ClickHouseWait"], seconds: 60,
        // More than there are places, for less than it takes to be refused.
        begin: (isOver) => Promise.all([throttled("clickhouse", 300, 1200)(isOver), crowd(40, () => history(8000))(isOver)]),
        end: async () => process.kill(pids.clickhouse, "SIGCONT"), passes: 60,
    },
    {
        name: "what was read of the ledger topic is gone", expected: ["ReconciliationStale"], seconds: 90,
        // It is needed at the begin only: from then on it is in memory.
        begin: async () => {
            await sql("RENAME TABLE ledger_totals TO provoked");
            await restarted("meter");
        },
        end: () => sql("RENAME TABLE provoked TO ledger_totals"), passes: 60,
    },
    {
        name: "a sink hangs that Kafka has given up", expected: ["NoActiveSink ticket"], seconds: 90,
        begin: async () => {
            await beginSecond();
            await freezeSecond();
        },
        end: thawSecond, passes: 60, after: endSecond,
    },
    {
        name: "the broker stands still", expected: ["IngestAvailabilityBurn page", "BrokerErrors", "AuditTrailFailing"], seconds: 90,
        // Not waited for, and patient: who leaves before ingest says 503 is `aborted`, which is no error of ingest's.
        ...stopped("kafka", async () => void many(8, () => events([event()], 60_000)).concat(command())), passes: 90,
    },
    {
        name: "the meter stands still", expected: ["TargetDown", "NoActiveSink page", "RepliesLate"], seconds: 60,
        ...stopped("meter", async () => void many(6, command)), passes: 60,
    },
    {
        name: "the meter stutters", expected: ["LedgerLatencyBurn page"], seconds: 90,
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
        name: "the broker stutters", expected: ["TransactionAborts"], seconds: 120,
        ...stuttering("kafka", 13_000, 2_000, () => events(many(50, () => event()))), passes: 90,
    },
    {
        name: "somebody joins the meters and leaves, again and again", expected: ["RebalanceStorm"], seconds: 120,
        begin: async (isOver) => {
            // A member hears of a rebalance by its heartbeat, every 3 s: one alone does not come to twenty in 15 s.
            const longer = fs.readFileSync(pipelineRules, "utf8").replace(/(rebalances_total)\[15000ms\]/, "$1[60s]");
            fs.writeFileSync(pipelineRules, longer);
            process.kill(pids.prometheus, "SIGHUP");
            while (!isOver()) await comeAndGo("tollbooth-meter");
        },
        passes: 90,
    },
    {
        name: "somebody else's transaction stays open on the ledger, and the meter joins anew", seconds: 90,
        expected: ["OpenTransaction", "RestoreSlow"],
        begin: async () => {
            // A record a second, none of which is ever committed: the brokers give the transaction up a minute after its begin.
            const records = ["--num-records", "600", "--throughput", "1", "--record-size", "10"];
            const open = ["--transactional-id", "provoked", "--transaction-duration-ms", "600000"];
            stranger = kafkaTool("ProducerPerformance", ["--topic", "tollbooth.ledger", ...records, ...open]);
            await sleep(5000);
            await comeAndGo("tollbooth-meter");
        },
        end: async () => {
            stranger.kill("SIGKILL");
            await ended(kafkaTool("TransactionsCommand", ["forceTerminateTransaction", "--transactionalId", "provoked"]));
        },
        passes: 60,
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
        name: "streams that nobody reads", expected: ["SseDrops ticket not_read"], seconds: 120,
        begin: async (isOver) => {
            for (let batch = 0; batch < 10; batch += 1) await events(many(500, () => event()));
            unread = await Promise.all(many(30, deaf));
            // More than the buffers in between hold, and no quicker than they are filled. Each is closed 30 s after they are full.
            await often(() => events(many(100, () => event())))(isOver);
        },
        end: async () => unread.forEach((socket) => socket.destroy()), passes: 60,
    },
    {
        name: "Prometheus finds no target of a job", expected: ["JobAbsent"], seconds: 30,
        // Its targets, as when discovery finds none. Without the job itself the last sample would count for another five minutes.
        begin: async () => reconfigure((it) => (targets = jobOf(it, "effects").static_configs.splice(0))),
        end: async () => reconfigure((it) => jobOf(it, "effects").static_configs.push(...targets)),
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
        name: "ingest has too little of a core for those who ask", expected: ["RuntimeBusy"], seconds: 90,
        begin: (isOver) => Promise.all([throttled("ingest", 10, 40)(isOver), load(900)(isOver)]), passes: 60,
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
        lacks: () => (endedOf("effects") ? "effects that did not end before, or the stack would end" : undefined),
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

if (asksHelp) {
    console.log("usage: node deploy/prometheus/provoke.mjs [DIR] [WORD...]\n\nDIR: the stack's folder, default .local; WORD: of these names");
    provocations.forEach(({ name, expected }) => console.log(`  ${name}: ${expected.join(", ")}`));
    process.exit(0);
}
const only = process.argv.slice(3);
let missing = 0;
for (const { name, expected, seconds, lacks, begin, end, passes, after: putAway } of provocations) {
    if (only.length && !only.some((word) => name.includes(word))) continue;
    const lacking = lacks?.();
    if (lacking) {
        console.log(`${name}: left out, it takes ${lacking}`);
        continue;
    }
    const before = await firing();
    // What fires already would fire without the deed.
    const stale = expected.filter((wanted) => isAmong(before, wanted));
    const open = expected.filter((wanted) => !stale.includes(wanted));
    missing += stale.length;
    if (stale.length) console.log(`${name}: ${stale.join(", ")} was firing before, not provoked`);
    if (!open.length) continue;
    const started = Date.now();
    let isOver = false;
    const work = Promise.resolve(begin(() => isOver)).catch((error) => console.error(`  ${error.message}`));
    const seen = new Map();
    while (Date.now() - started < seconds * 1000 && !open.every((wanted) => isAmong(seen.keys(), wanted))) {
        await sleep(500);
        for (const alert of (await quietly(firing())) ?? [])
            if (!seen.has(alert) && !before.has(alert)) seen.set(alert, `${((Date.now() - started) / 1000).toFixed(1)} s`);
    }
    isOver = true;
    await Promise.resolve(end?.()).catch((error) => console.error(`  ${error.message}`));
    await work;
    const absent = open.filter((wanted) => !isAmong(seen.keys(), wanted));
    missing += absent.length;
    console.log(`${name}: ${[...seen].map(([alert, after]) => `${alert} (${after})`).join(", ") || "nothing fired"}`);
    if (absent.length) console.log(`  in vain: ${absent.join(", ")}`);
    if (passes) {
        const mended = Date.now();
        let left = open;
        while (left.length && Date.now() < mended + passes * 1000) {
            await sleep(500);
            const still = await quietly(firing());
            if (still) left = left.filter((wanted) => isAmong(still, wanted));
        }
        const after = ((Date.now() - mended) / 1000).toFixed(1);
        console.log(left.length ? `  still firing after ${passes} s: ${left.join(", ")}` : `  over again after ${after} s`);
    }
    await Promise.resolve(putAway?.()).catch((error) => console.error(`  ${error.message}`));
}
process.exit(missing ? 1 : 0);
