// Budgets that are used up slowly: quickly enough for a ticket, or for the page over six hours, and for nothing above it.
import fs from "node:fs";

import { balance, event, events, history, many, measured, now, pids, pipelineRules, sleep } from "./stack.mjs";

/** A window of an objective's rules, as they are loaded: shortened. */
const windowOf = (name) => new RegExp(`ratio_rate${name}[^[]*\\[(\\w+)\\]`).exec(fs.readFileSync(pipelineRules, "utf8"))[1];
/** Does it while a process stands still. */
const whileStopped = async (name, work) => {
    process.kill(pids[name], "SIGSTOP");
    try {
        await work();
    } finally {
        process.kill(pids[name], "SIGCONT");
    }
};
/** So many times, twenty at once. */
const times = async (count, work) => {
    let left = count;
    const one = async () => {
        while (left-- > 0) await work();
    };
    await Promise.all(many(20, one));
};
const usage = async (count) => {
    for (let left = count; left > 0; left -= 500) await events(many(Math.min(left, 500), () => event()));
};

/**
 * By objective: what is counted of all, what share of it may fail, and how so many go well, or do not. The brokers come last: what
 * waits for them is posted late.
 */
const objectives = {
    ledger: {
        all: 'tollbooth_e2e_latency_seconds_count{stage="ingest_to_ledger"}', budget: 0.01,
        // All of it is posted before the meter stands still.
        well: async (count) => {
            await usage(count);
            await sleep(3000);
        },
        badly: (count) =>
            whileStopped("meter", async () => {
                await usage(count);
                await sleep(2500);
            }),
    },
    query: {
        all: "tollbooth_query_requests_total", budget: 0.001,
        well: (count) => times(count, balance),
        badly: (count) => whileStopped("clickhouse", () => Promise.all(many(count, () => history(40_000)))),
    },
    // A record that the brokers do not acknowledge is given up after 15 s.
    ingest: {
        all: 'tollbooth_ingest_requests_total{route="/v1/events"}', budget: 0.001,
        well: (count) => times(count, () => events([event()])),
        badly: (count) => whileStopped("kafka", () => Promise.all(many(count, () => events([event()], 30_000)))),
    },
};

/**
 * What must burn: over which window, at how many times the pace that the budget allows, and how quickly what is done here burns, which
 * is below what the next rule asks for.
 */
export const TICKET = { window: "3d", least: 1.5, pace: 3 };
export const PAGE_OVER_SIX_HOURS = { window: "6h", least: 7.5, pace: 11 };

/**
 * As many fail as are too many, with all that the window has. What goes well comes first, so that what fails is a small part of every
 * window.
 */
const burn = async ({ all, budget, well, badly }, { window, least, pace }) => {
    const before = await measured(`sum(increase(${all}[${windowOf(window)}]))`);
    const bad = Math.ceil((least * budget * before) / (1 - least / pace)) || 1;
    await well(Math.ceil(bad / (pace * budget)) - bad);
    await badly(bad);
};
/** All objectives, one after the other. The fleet stands still meanwhile: what it would lose is not counted on. */
export const burning = (what) => async () => {
    const fleet = now("fleet");
    if (fleet) process.kill(fleet, "SIGSTOP");
    try {
        for (const objective of Object.values(objectives)) await burn(objective, what);
    } finally {
        if (fleet) process.kill(fleet, "SIGCONT");
    }
};
