import { defineConfig } from "vitest/config";

// One browser at a time over one stack: the tests share its cores, and each makes its own account. Deadlines are for
// machines that do something else as well: what is well is never waited for as long.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: [process.env.TOLLBOOTH_SHOTS === undefined ? "**/*.test.ts" : "**/*.shot.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000, interval: 60 } },
  },
});
