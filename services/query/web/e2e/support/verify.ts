import { execFile } from "node:child_process";

export interface Verified {
  readonly ok: boolean;
  readonly defects: Readonly<Record<string, number>>;
  readonly checked: Readonly<Record<string, number>>;
}

/** The settings of the local stack's meter: verify judges by what it was told. */
const SETTINGS = {
  TOLLBOOTH_METER__TOPICS__PARTITIONS: "8",
  TOLLBOOTH_METER__AGE_LIMIT_DAYS: "400",
  TOLLBOOTH_METER__OPERATION_RETENTION_DAYS: "400",
};

/** `tollbooth-meter verify` over the running stack: ledger, sources, and every row of ClickHouse. */
export function verify(): Promise<Verified> {
  const program = process.env.TOLLBOOTH_E2E_METER;
  if (!program) throw new Error("TOLLBOOTH_E2E_METER is not set: run e2e/run.sh");
  return new Promise((done, fail) => {
    const options = { env: { ...process.env, ...SETTINGS }, maxBuffer: 16 * 1024 * 1024 };
    // It ends with 1 where there are defects; they are in what it prints.
    execFile(program, ["verify", "--json", "--wait", "60"], options, (error, stdout, stderr) => {
      try {
        done(JSON.parse(stdout) as Verified);
      } catch {
        fail(new Error(`verify: ${error?.message ?? ""} ${stderr}`));
      }
    });
  });
}
