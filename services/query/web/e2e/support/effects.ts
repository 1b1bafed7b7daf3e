import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

/** The settings of the local stack's effects, but for a card that declines and a name of its own in their group. */
const SETTINGS = {
  TOLLBOOTH_INGEST__TOPICS__PARTITIONS: "8",
  TOLLBOOTH_INGEST__TOPICS__REPLICATION: "1",
  TOLLBOOTH_INGEST__EVENTS__AGE_DAYS_MAX: "400",
  TOLLBOOTH_INGEST__EVENTS__OPERATION_RETENTION_DAYS: "400",
  TOLLBOOTH_INGEST__PURCHASES__PROVIDER: "sandbox",
  TOLLBOOTH_INGEST__EFFECTS__OPS_LISTEN: "127.0.0.1:0",
  TOLLBOOTH_INGEST__EFFECTS__MEMBER_ID: "effects-declining",
  TOLLBOOTH_INGEST__EFFECTS__SANDBOX_CARD: "4000000000000002",
};
const TAIL_CHARS = 2_000;

/**
 * Effects beside the stack's own, whose card declines. Kafka gives them a part of the accounts, as it would on another
 * machine; which ones is its choice.
 */
export class DecliningEffects {
  private said = "";

  private constructor(private readonly child: ChildProcess) {
    child.stderr?.on("data", (chunk: Buffer) => {
      this.said = (this.said + chunk.toString("utf8")).slice(-TAIL_CHARS);
    });
  }

  static start(): DecliningEffects {
    const program = process.env.TOLLBOOTH_E2E_INGEST;
    if (!program) throw new Error("TOLLBOOTH_E2E_INGEST is not set: run e2e/run.sh");
    const env = { ...process.env, ...SETTINGS };
    return new DecliningEffects(spawn(program, ["effects"], { env, stdio: ["ignore", "ignore", "pipe"] }));
  }

  private get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Says what they wrote where they have ended by themselves. */
  mustRun(): void {
    if (this.isOver) throw new Error(`the effects ended: ${this.said}`);
  }

  async stop(): Promise<void> {
    if (this.isOver) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    await ended;
  }
}
