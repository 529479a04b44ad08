/**
 * Measures when the machine itself stood still, by a process of its own outside of every lab host: what it says is
 * about the machine and not about us. It runs in real time above everything else; on a machine that does not allow
 * that it is not started and says nothing, so that no load, and no loop of ours, can pass for a machine at rest.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { tryCommand } from "./command.ts";
import { LAB_MARK } from "./switch.ts";

const SCRIPT = join(import.meta.dirname, "../assets/witness.pl");
const INTERVAL_MS = 5;
/** A shorter lateness is everyday life and not told. */
const LEAST_MS = 10;
const REAL_TIME = ["chrt", "--fifo", "99"];

/** The machine ran nothing in real time between these, wall clock ms. */
export type StandStill = { fromMs: number; toMs: number };

/** Pure: the whole lines of `text`, and what is left. */
export function readStandStills(text: string): { stills: StandStill[]; rest: string } {
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  const stills = lines.flatMap((line) => {
    const [fromMs = Number.NaN, toMs = Number.NaN] = line.split(" ").map(Number);
    return Number.isFinite(fromMs) && Number.isFinite(toMs) ? [{ fromMs, toMs }] : [];
  });
  return { stills, rest };
}

export class Witness {
  readonly #child: ChildProcess;
  #rest = "";
  #isRunning = true;

  private constructor(child: ChildProcess, tell: (still: StandStill) => void) {
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => {
      const { stills, rest } = readStandStills(this.#rest + chunk.toString());
      this.#rest = rest;
      for (const still of stills) tell(still);
    });
    child.stdin?.on("error", () => undefined);
    child.on("error", () => {
      this.#isRunning = false;
    });
    child.on("exit", () => {
      this.#isRunning = false;
    });
  }

  /** Null where nothing may run in real time. `mark`: the lab whose end ends it. */
  static async start(mark: string, tell: (still: StandStill) => void): Promise<Witness | null> {
    const [file = "", ...prefix] = REAL_TIME;
    const allowed = await tryCommand([...REAL_TIME, "true"]).catch(() => null);
    if (allowed?.code !== 0) return null;
    const child = spawn(file, [...prefix, "perl", SCRIPT, String(INTERVAL_MS), String(LEAST_MS)], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { PATH: process.env["PATH"], [LAB_MARK]: mark },
    });
    return new Witness(child, tell);
  }

  /** False when it ended: what it did not say then means nothing. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    const end = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin?.end();
    await end;
  }
}
