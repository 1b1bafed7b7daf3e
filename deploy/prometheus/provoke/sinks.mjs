// A second sink, and a part of it that hangs.
import { fileURLToPath } from "node:url";

import { addresses, copyOf, ended, jobOf, pids, quietly, reconfigure, sleep, started } from "./stack.mjs";

const OPS = "127.0.0.1:9193";
const sinks = (configuration) => jobOf(configuration, "sink").static_configs;
const isActive = async (url) => /^tollbooth_sink_active 1$/m.test((await quietly(fetch(`${url}/metrics`).then((it) => it.text()))) ?? "");
const until = async (condition) => {
    while (!(await condition())) await sleep(200);
};
let second;
let frozen;

/** A sink of its own process has the lease, and the meter's stands by. */
export const beginSecond = async () => {
    const told = { TOLLBOOTH_METER__MEMBER_ID: "provoked", TOLLBOOTH_METER__SINK_OPS_LISTEN: OPS };
    second = copyOf(pids.meter, told, ["sink"])();
    await until(async () => (await quietly(fetch(`http://${OPS}/readyz`)))?.status === 200);
    process.kill(pids.meter, "SIGSTOP");
    await until(() => isActive(`http://${OPS}`));
    process.kill(pids.meter, "SIGCONT");
    await until(async () => !(await isActive(addresses["sink operations"])));
    reconfigure((it) => sinks(it).push({ targets: [OPS] }));
};
/** It neither hears from the brokers nor gives the lease back: what speaks to them in it hangs. */
export const freezeSecond = async () => {
    const script = fileURLToPath(new URL("freeze.py", import.meta.url));
    frozen = started("python3", [script, `${second.pid}`, "rdk:"], { stdio: ["pipe", "pipe", "inherit"] });
    await new Promise((resolve) => frozen.stdout.once("data", resolve));
};
export const thawSecond = async () => {
    frozen.stdin.end();
    await ended(frozen);
};
/** Puts it away, and waits until the meter's sink has the lease: a member that ends keeps its place for 10 s. */
export const endSecond = async () => {
    reconfigure((it) => sinks(it).splice(1));
    await sleep(2000);
    second.kill();
    await quietly(ended(second));
    await until(() => isActive(addresses["sink operations"]));
};
