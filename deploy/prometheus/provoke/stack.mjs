// The running stack: where it is, what is done to it, and what puts it back.
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import zlib from "node:zlib";

export const asksHelp = process.argv.some((argument) => argument === "--help" || argument === "-h");
export const dir = process.argv[2] ?? ".local";
if (!asksHelp && !fs.existsSync(`${dir}/up.json`)) {
    console.error(`nothing runs in ${dir}: docs/alerts.md says how to start it; --help lists what can be provoked`);
    process.exit(2);
}
/** A file of the stack; nothing where only help is asked for. */
const fileOf = (name) => (asksHelp ? "" : fs.readFileSync(`${dir}/${name}`, "utf8").trim());
const run = JSON.parse(fileOf("up.json") || '{"addresses": [], "processes": []}');
export const addresses = Object.fromEntries(run.addresses);
export const pids = Object.fromEntries(run.processes);
export const env = Object.fromEntries(
    fileOf("demo.env").split("\n").map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1).replace(/^'|'$/g, "")];
    }),
);
export const account = env.TOLLBOOTH_ACCOUNT_ID;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Whatever ends this script, nothing stays stopped.
process.on("SIGTERM", () => process.exit(143));
export const children = new Set();
process.on("exit", () => {
    for (const child of children) child.kill("SIGKILL");
    for (const name of ["clickhouse", "kafka", "meter", "ingest", "query", "fleet"])
        try {
            process.kill(pids[name], "SIGCONT");
        } catch {
            // It is gone.
        }
});
export const quietly = (promise) => promise.catch(() => undefined);

/** An alert with what tells rules of one name apart: `NotReady page`, `QueryAvailabilityBurn page 6h`, `SseDrops ticket not_read`. */
const nameOf = ({ alertname, severity, window, signal, reason }) =>
    [alertname, severity, window ?? signal ?? (alertname === "SseDrops" ? reason : undefined)].filter(Boolean).join(" ");
/** What fires, each by its name as above. */
export const firing = async () => {
    const answer = await (await fetch(`${addresses.prometheus}/api/v1/alerts`)).json();
    return new Set(answer.data.alerts.filter(({ state }) => state === "firing").map(({ labels }) => nameOf(labels)));
};
/** What Prometheus says to a query, all of it summed up. */
export const measured = async (query) => {
    const answer = await (await fetch(`${addresses.prometheus}/api/v1/query?query=${encodeURIComponent(query)}`)).json();
    return answer.data.result.reduce((sum, { value }) => sum + Number(value[1]), 0);
};
/** Whether one fires: of that name, and of that severity and window where they are named. */
export const isAmong = (alerts, wanted) => [...alerts].some((alert) => alert === wanted || alert.startsWith(`${wanted} `));

export const post = (url, key, type, body, patience = 4000) =>
    quietly(
        fetch(url, {
            method: "POST",
            headers: { authorization: `Bearer ${key}`, "content-type": type },
            body: JSON.stringify(body),
            signal: AbortSignal.timeout(patience),
        }),
    );
let number = 0;
export const event = (more = {}, data = {}) => {
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
export const events = (batch, patience) =>
    post(`${env.TOLLBOOTH_INGEST_URL}/v1/events`, env.TOLLBOOTH_BOOTH_KEY, "application/cloudevents-batch+json", batch, patience);
export const sql = async (statement) => {
    const url = `${env.CLICKHOUSE_URL}/?database=${env.CLICKHOUSE_DATABASE}`;
    const answer = await fetch(url, { method: "POST", body: statement });
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.text()).trim();
};
export const many = (count, make) => Array.from({ length: count }, make);
/** Does it once a second until the end of the provocation. */
export const often = (work) => async (isOver) => {
    while (!isOver()) {
        await work();
        await sleep(500);
    }
};
export const stopped = (name, meanwhile = async () => {}) => ({
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
export const stuttering = (name, still, going, meanwhile = async () => {}) => ({
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
/**
 * Runs for so many milliseconds, then stands still for so many: a share of a core, as a quota gives it. By a process of its own:
 * this one may be busy.
 */
export const throttled = (name, going, still) => async (isOver) => {
    const turn = `kill -STOP ${pids[name]}; sleep ${still / 1000}; kill -CONT ${pids[name]}; sleep ${going / 1000}`;
    const throttle = started("sh", ["-c", `while :; do ${turn}; done`], { stdio: "ignore" });
    while (!isOver()) await sleep(100);
    throttle.kill("SIGKILL");
    process.kill(pids[name], "SIGCONT");
};
/** So many do the same, each again as soon as it is done. */
export const crowd = (count, work) => async (isOver) => {
    const one = async () => {
        while (!isOver()) await work();
    };
    await Promise.all(many(count, one));
};
/** A request that costs who sends it next to nothing and ingest milliseconds: packed events without an end, and a short answer. */
const costly = () => {
    const body = zlib.gzipSync(`[${many(600, () => JSON.stringify(event())).join(",")}`);
    const { host } = new URL(env.TOLLBOOTH_INGEST_URL);
    const head = [
        "POST /v1/events HTTP/1.1", `host: ${host}`, `authorization: Bearer ${env.TOLLBOOTH_BOOTH_KEY}`, `content-length: ${body.length}`,
        "content-type: application/cloudevents-batch+json", "content-encoding: gzip",
    ];
    return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
};
/** So many send it, each again as soon as it was answered. */
export const load = (count) => async (isOver) => {
    const { hostname, port } = new URL(env.TOLLBOOTH_INGEST_URL);
    const request = costly();
    const sockets = many(count, () => {
        const socket = net.connect(Number(port), hostname, () => socket.write(request));
        return socket.on("data", () => socket.write(request)).on("error", () => {});
    });
    while (!isOver()) await sleep(100);
    sockets.forEach((socket) => socket.destroy());
};
export const adminKey = fileOf("admin.key");
/** A command of an administrator, straight to ingest: a cent, given. */
export const command = () => {
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
export const signIn = async () => {
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
export const started = (program, given, options) => {
    const child = spawn(program, given, options);
    children.add(child);
    child.on("exit", () => children.delete(child));
    return child;
};
export const ended = (child) =>
    new Promise((resolve, reject) =>
        child.on("exit", (status) => (status === 0 ? resolve() : reject(new Error(`${child.spawnargs.join(" ")}: status ${status}`)))),
    );
/** How to start another process like one that runs, told something else where `more` and `instead` say so. */
export const copyOf = (pid, more = {}, instead = undefined) => {
    const [program, ...own] = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    const given = instead ?? own;
    const told = fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
    const variables = Object.fromEntries(told.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
    return () => started(program, given, { stdio: "ignore", env: { ...variables, ...more } });
};
export const isReady = async (name) => (await quietly(fetch(`${addresses[`${name} operations`]}/readyz`)))?.status === 200;
/** Prometheus reads its configuration, changed, or again as it was. */
export const pipelineRules = `${dir}/prometheus/rules/pipeline.rules.yml`;
export const prometheusFile = `${dir}/prometheus/prometheus.yml`;
export const reconfigure = (change) => {
    const configuration = JSON.parse(fs.readFileSync(prometheusFile, "utf8"));
    change(configuration);
    fs.writeFileSync(prometheusFile, `${JSON.stringify(configuration, null, 2)}\n`);
    process.kill(pids.prometheus, "SIGHUP");
};
/** A job of that configuration. */
export const jobOf = (configuration, name) => configuration.scrape_configs.find((job) => job.job_name === `tollbooth-${name}`);
/** Sets how many files a process may have open. */
export const limitFiles = (pid, soft) => ended(started("prlimit", ["--pid", `${pid}`, `--nofile=${soft}:`], { stdio: "ignore" }));
export const openFiles = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
export const softLimit = (pid) => Number(/Max open files\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/limits`, "utf8"))[1]);
/** Whether a service ended before, since the stack was started. */
export const endedOf = (name) => JSON.parse(fs.readFileSync(`${dir}/up.json`, "utf8")).ended.some((one) => one.name === name);
/** The process of a service at the moment: it may have been started again. */
export const now = (name) => Object.fromEntries(JSON.parse(fs.readFileSync(`${dir}/up.json`, "utf8")).processes)[name];
/** Somebody comes back to a stream after all that memory has dropped. */
export const comeBack = async () => {
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
/** Opens a stream of as many entries as one may have missed, and never reads it. */
export const deaf = async () => {
    const { host, hostname, port } = new URL(env.TOLLBOOTH_QUERY_URL);
    const { seq } = await (await balance()).json();
    const socket = net.connect(Number(port), hostname);
    const path = `/v1/accounts/${account}/stream?topics=transactions&after=${Math.max(0, seq - 4500)}`;
    socket.on("error", () => {}).pause();
    socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${env.TOLLBOOTH_ACCOUNT_KEY}\r\n\r\n`);
    return socket;
};
/** Ends a service as a defect would; `up` starts it again. */
export const restarted = async (name) => {
    const before = now(name);
    process.kill(before, "SIGKILL");
    while (!now(name) || now(name) === before || !(await isReady(name))) await sleep(100);
    pids[name] = now(name);
};
/** As an administrator; throws where it is refused. */
export const admin = async (method, path, body) => {
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
/** Has nothing charged for the open letters that were made here, until no more of them come. */
export const dismissed = (...reasons) => async () => {
    const open = async (reason) => {
        const headers = { authorization: `Bearer ${adminKey}` };
        const path = `/v1/dead-letters?state=open&limit=200&reason=${reason}`;
        const answer = await fetch(`${env.TOLLBOOTH_QUERY_URL}${path}`, { headers, signal: AbortSignal.timeout(12000) });
        if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
        const { data } = await answer.json();
        return data.filter(({ payload_text }) => payload_text?.includes('"/booths/bth_provoke"')).map(({ id }) => id);
    };
    for (let quiet = 0; quiet < 2; ) {
        const ids = (await Promise.all(reasons.map(open))).flat().slice(0, 200);
        if (ids.length) await admin("POST", "/v1/dead-letters/dismiss", { ids, note: "made by provoke.mjs" });
        quiet = ids.length ? 0 : quiet + 1;
        await sleep(1000);
    }
};
/** Who recharges. */
const recharging = [];
export const opened = () => admin("POST", "/v1/accounts", { name: "Provoked", plan: "basic", currency: "USD", time_zone: "UTC" });
/** An account without credit recharges at once. */
export const recharge = async (id) => {
    await admin("PUT", `/v1/accounts/${id}/recharge`, { enabled: true, threshold: "20.00", amount: "50.00" });
    recharging.push(id);
};
/** No recharge fails again later. */
export const done = async () => {
    const off = { enabled: false, threshold: "20.00", amount: "50.00" };
    await Promise.all(recharging.splice(0).map((id) => admin("PUT", `/v1/accounts/${id}/recharge`, off)));
};
/** What effects were not told, for `make up`. */
export const lacking = (settings, how) => () => {
    const given = new Set(fs.readFileSync(`/proc/${now("effects")}/environ`, "utf8").split("\0"));
    return Object.entries(settings).every(([name, value]) => given.has(`${name}=${value}`)) ? undefined : how;
};
export const read = (path, patience = 4000) =>
    quietly(
        fetch(`${env.TOLLBOOTH_QUERY_URL}${path}`, {
            headers: { authorization: `Bearer ${env.TOLLBOOTH_ACCOUNT_KEY}` },
            signal: AbortSignal.timeout(patience),
        }),
    );
export const balance = () => read(`/v1/accounts/${account}/balance`);
export const history = (patience) => {
    const day = new Date(Date.now() - 86_400_000).toISOString();
    const path = `/v1/accounts/${account}/usage?from=${day}&to=${new Date().toISOString()}&bucket=hour&tz=UTC`;
    // Another zone each time: what is kept would be answered from memory.
    return read(path.replace("tz=UTC", `tz=Etc/GMT%2B${number++ % 12}`), patience);
};
