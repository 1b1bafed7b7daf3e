import { defineConfig } from "vitest/config";

// One browser at a time over one stack: the tests share its cores, and each makes its own account.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: [process.env.TOLLBOOTH_SHOTS === undefined ? "**/*.test.ts" : "**/*.shot.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000, interval: 60 } },
  },
});
