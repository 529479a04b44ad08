import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type EventEnvelope, EventEnvelopeSchema, NodeIdSchema, SERVICES } from "@quorate/contracts";
import { z } from "zod";
import { type CommandResult, killGroup } from "../src/command.ts";
import { type Converged, convergedOf } from "../src/converged.ts";
import { hostLogTails } from "../src/failure.ts";
import { Lab, type LabTopology, Observer, quoratePlan } from "../src/index.ts";
import type { LabPlan } from "../src/plan.ts";
import { waitUntil } from "../src/processes.ts";
import { ROOT, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

/** Generous: they end a test that hangs. How fast it was is the bench's business. */
export const LIMIT_MS = 60_000;
const POLL_MS = 300;

const AgeSchema = z.int().min(0).nullable();

/** The part of `quorate status --json` that people's scripts will read. */
export const StatusSchema = z.object({
  summary: z.string().min(1),
  node: z.object({ id: NodeIdSchema, bootId: z.string().nullable() }),
  role: z.enum(["master", "slave", "suspended", "unknown"]),
  leader: NodeIdSchema.nullable(),
  term: z.int().nullable(),
  amnesic: z.boolean(),
  quorate: z.enum(["yes", "no", "pending", "unknown"]),
  votes: z.object({ total: z.int(), quorum: z.int(), present: z.int() }).nullable(),
  view: z.object({ term: z.int(), number: z.int(), members: z.array(NodeIdSchema) }).nullable(),
  configuration: z.object({
    version: z.int().nullable(),
    digest: z.string().nullable(),
    committed: z.boolean(),
  }),
  peers: z.array(
    z.object({
      id: NodeIdSchema,
      state: z.string(),
      links: z.array(z.object({ ring: z.int(), hears: z.boolean(), heard: z.boolean() })),
    }),
  ),
  clusterIp: z.object({ state: z.string(), gate: z.string() }),
  service: z.object({ state: z.string() }),
  degraded: z.array(z.object({ code: z.string(), message: z.string() })),
  guarantees: z.array(z.object({ name: z.string(), inForce: z.boolean() })),
  ages: z.object({ quorum: AgeSchema, peers: AgeSchema, report: AgeSchema, configuration: AgeSchema }),
});
export type ProductStatus = z.infer<typeof StatusSchema>;

export type Whole = Converged;

/** The real product in a lab of its own: three hosts that run `quorate node run` from its bundles. */
export class ProductLab {
  readonly lab: Lab;
  readonly ids: number[];
  readonly #events: EventLog[] = [];
  #observer: Observer | null = null;

  private constructor(lab: Lab) {
    this.lab = lab;
    this.ids = lab.record().hosts.map((host) => host.id);
  }

  static async up(
    kind: string,
    topology: LabTopology,
    change = (plan: LabPlan) => plan,
  ): Promise<ProductLab> {
    const programs = ["packages/cli", ...SERVICES.map((name) => `services/${name}`)];
    const missing = programs.map((program) => `${program}/dist/main.js`);
    const notBuilt = missing.filter((file) => !existsSync(join(ROOT, file)));
    if (notBuilt.length > 0) throw new Error(`not built: ${notBuilt.join(", ")}. Run: npm run setup`);
    await sweepAbandonedTestLabs();
    const name = testLabName(kind);
    return new ProductLab(await Lab.up(name, change(quoratePlan(ROOT, name, topology)), { own: true }));
  }

  async down(): Promise<void> {
    for (const log of this.#events) log.end();
    await this.#observer?.stop();
    await Lab.down(this.lab.place.name);
  }

  /** Looks from outside, from the first call on. */
  async observer(): Promise<Observer> {
    this.#observer ??= await Observer.start(this.lab);
    return this.#observer;
  }

  /** Events as a stock client in this host hears them from now on. */
  async events(id: number): Promise<EventLog> {
    const log = await EventLog.begin(this.lab, id);
    this.#events.push(log);
    return log;
  }

  logTails(): string {
    return hostLogTails(this.lab);
  }

  /** `quorate …` in a host, whatever its exit code. */
  quorate(id: number, ...args: string[]): Promise<CommandResult> {
    return this.lab.exec(id, ["quorate", ...args], LIMIT_MS);
  }

  /** What a shell command in a host wrote; it has to end with 0. */
  async shell(id: number, script: string): Promise<string> {
    const result = await this.lab.exec(id, ["sh", "-c", script], LIMIT_MS);
    if (result.code !== 0) throw new Error(`host ${id}: ${script}: ${result.code}: ${result.stderr}`);
    return result.stdout;
  }

  /** What the node says; an answer of another form fails the test, none at all is null. */
  async status(id: number): Promise<ProductStatus | null> {
    const result = await this.quorate(id, "status", "--json");
    return result.code === 0 ? StatusSchema.parse(JSON.parse(result.stdout)) : null;
  }

  /** Waits until the node says what is wanted, and answers that. */
  async until(id: number, wanted: (status: ProductStatus) => boolean): Promise<ProductStatus> {
    let last: ProductStatus | null = null;
    const came = await waitUntil(
      async () => {
        last = await this.status(id);
        return last !== null && wanted(last);
      },
      LIMIT_MS,
      POLL_MS,
    );
    if (!came || last === null) throw new Error(`node ${id} does not come to it: ${JSON.stringify(last)}`);
    return last;
  }

  /** Waits until all nodes say the same of one master, who serves, and nothing is degraded. */
  async whole(): Promise<Whole> {
    let found: Whole | null = null;
    let last: (ProductStatus | null)[] = [];
    await waitUntil(
      async () => {
        last = await Promise.all(this.ids.map((id) => this.status(id)));
        found = wholeOf(last, this.ids);
        return found !== null;
      },
      LIMIT_MS,
      POLL_MS,
    );
    if (found === null) throw new Error(`the cluster does not become whole: ${JSON.stringify(last)}`);
    return found;
  }

  /** Waits until a client gets the service's answer from this host at this address. */
  async serves(id: number, vip: string): Promise<void> {
    const observer = await this.observer();
    const wanted = (seen: { kind: string; host: number; vip: string }) =>
      seen.kind === "http" && seen.host === id && seen.vip === vip;
    const answer = await observer.waitFor(wanted, LIMIT_MS);
    if (observer.failure !== null) throw new Error(`the observer failed: ${observer.failure}`);
    if (answer === null) throw new Error(`host ${id} does not serve at ${vip}`);
  }
}

function wholeOf(statuses: readonly (ProductStatus | null)[], ids: readonly number[]): Whole | null {
  // What a test has ordered is no fault.
  const faults = statuses
    .flatMap((status) => status?.degraded ?? [])
    .filter(({ code }) => code !== "drained");
  if (faults.length > 0) return null;
  return convergedOf(statuses, ids);
}

const HeardSchema = z.object({ subject: z.string(), event: EventEnvelopeSchema });
type Heard = { subject: string; event: EventEnvelope };

/** All events that a stock client heard, kept in the order in which they came. */
export class EventLog {
  readonly heard: Heard[] = [];
  readonly #end: () => void;
  readonly #waiting = new Set<() => void>();

  private constructor(end: () => void) {
    this.#end = end;
  }

  static async begin(lab: Lab, id: number): Promise<EventLog> {
    const script = join(import.meta.dirname, "../assets/event-client.mjs");
    const child = lab.spawn(id, ["node", script]);
    const log = new EventLog(() => killGroup(child.pid));
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    const { stdout } = child;
    if (stdout === null) throw new Error("a client without output");
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`the stock client ended: ${said}`)));
      createInterface({ input: stdout }).on("line", (line) => {
        if (line === "listening") resolve();
        else log.#take(HeardSchema.parse(JSON.parse(line)));
      });
    });
    return log;
  }

  /** Everything heard later than this call; give it to `next`. */
  mark(): number {
    return this.heard.length;
  }

  /** The first event since the mark that is wanted, heard already or still to come. */
  async next(mark: number, what: string, wanted: (event: EventEnvelope) => boolean): Promise<Heard> {
    const deadline = performance.now() + LIMIT_MS;
    for (;;) {
      const found = this.heard.slice(mark).find(({ event }) => wanted(event));
      if (found !== undefined) return found;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        const texts = this.heard.slice(mark).map(({ event }) => `${event.nodeid} ${event.data.message}`);
        throw new Error(`no event of ${what}; there were:\n${texts.join("\n")}`);
      }
      await this.#nextLine(leftMs);
    }
  }

  end(): void {
    this.#end();
  }

  #take(heard: Heard): void {
    this.heard.push(heard);
    for (const wake of this.#waiting) wake();
  }

  #nextLine(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, limitMs);
      this.#waiting.add(wake);
    });
  }
}
