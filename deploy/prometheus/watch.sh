#!/usr/bin/env bash
# Asks a running Prometheus (`make up OBSERVE=1`) whether it sees everything: each process answers, each rule is loaded and
# evaluates, each query of each dashboard is answered. Then lists what fires.
#
#   deploy/prometheus/watch.sh [http://127.0.0.1:9090]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PROMETHEUS="${1:-http://127.0.0.1:9090}" exec node - <<'NODE'
const fs = require("fs");
const url = process.env.PROMETHEUS;
const problems = [];
const get = async (path) => {
    const answer = await (await fetch(url + path)).json();
    if (answer.status !== "success") throw new Error(`${path}: ${answer.error}`);
    return answer.data;
};
const ask = (query) => get(`/api/v1/query?query=${encodeURIComponent(query)}`);

(async () => {
    // A Prometheus that was just started takes its targets up after five seconds, and has scraped each a moment later.
    const deadline = Date.now() + 30_000;
    let { activeTargets } = await get("/api/v1/targets");
    while (Date.now() < deadline && (activeTargets.length === 0 || activeTargets.some(({ health }) => health === "unknown"))) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        ({ activeTargets } = await get("/api/v1/targets"));
    }
    for (const target of activeTargets.filter((target) => target.health !== "up"))
        problems.push(`${target.labels.job} at ${target.scrapeUrl} is ${target.health}: ${target.lastError}`);
    for (const job of ["ingest", "meter", "query", "sink", "effects"])
        if (!activeTargets.some((target) => target.labels.job === `tollbooth-${job}`)) problems.push(`no target tollbooth-${job}`);

    const loaded = (await get("/api/v1/rules")).groups.flatMap((group) => group.rules);
    for (const rule of loaded.filter((rule) => rule.health === "err")) problems.push(`${rule.name}: ${rule.lastError}`);
    const files = fs.readdirSync("deploy/prometheus").filter((name) => /^(money|pipeline|query|infrastructure)\.rules/.test(name));
    const written = files.flatMap((name) => fs.readFileSync(`deploy/prometheus/${name}`, "utf8").match(/- alert: .*/g));
    for (const name of new Set(written.map((line) => line.slice("- alert: ".length))))
        if (!loaded.some((rule) => rule.name === name)) problems.push(`${name} is not loaded`);

    let answered = 0, empty = [];
    for (const file of fs.readdirSync("deploy/grafana/dashboards")) {
        const board = JSON.parse(fs.readFileSync(`deploy/grafana/dashboards/${file}`, "utf8"));
        for (const panel of board.panels)
            for (const target of panel.targets ?? []) {
                try {
                    const { result } = await ask(target.expr.replaceAll("$__rate_interval", "1m"));
                    if (result.length === 0) empty.push(`${board.uid}: ${panel.title}`);
                    answered += 1;
                } catch (error) {
                    problems.push(`${board.uid}, ${panel.title}: ${error.message}`);
                }
            }
    }
    const firing = (await get("/api/v1/alerts")).alerts.filter((alert) => alert.state === "firing");
    console.log(`${activeTargets.length} targets, ${loaded.length} rules, ${answered} dashboard queries answered`);
    if (empty.length) console.log(`without a sample now (nothing of the kind happened): ${[...new Set(empty)].join("; ")}`);
    for (const { labels, annotations } of firing) console.log(`firing: ${labels.alertname} (${labels.severity}): ${annotations.summary}`);
    for (const problem of problems) console.error(`problem: ${problem}`);
    process.exit(problems.length ? 1 : 0);
})().catch((error) => {
    console.error(`${url}: ${error.message}`);
    process.exit(1);
});
NODE
