import { setTimeout as pause } from "node:timers/promises";

/** Asks until the answer is true. (The page's policy lets nothing be evaluated in it, so that the browser cannot wait itself.) */
export async function until(what, ask, patienceMs = 15_000) {
  const end = Date.now() + patienceMs;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(50);
  }
}
