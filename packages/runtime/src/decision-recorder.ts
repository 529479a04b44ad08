import { connect, type Socket } from "node:net";
import { join } from "node:path";
import {
  type Decision,
  FromJournalSchema,
  JOURNAL_SOCKET,
  type NodeId,
  type Reason,
  type ToJournal,
} from "@quorate/contracts";
import type { Bus } from "./bus.ts";
import { bootId, monotonicUs } from "./clock.ts";
import { identifyProcess } from "./pid-file.ts";

/** Decisions that a process remembers for a journal that is away: an hour of trouble, or days of peace. */
export const REMEMBERED_DECISIONS = 1024;
const RETRY_FIRST_MS = 200;
const RETRY_LIMIT_MS = 5000;
/** A journal that does not read: what waits stays in the ring and is sent when it reads again. */
const UNREAD_LIMIT_BYTES = 256 * 1024;
/** The same sentence again within this time is counted, not kept: a storm must not drive history out. */
const REPEAT_MS = 1000;
const REPEATS_LIMIT = 64;

/** What is known of the cluster where the decision is made. */
export interface DecisionContext {
  term?: number;
  view?: string;
  config?: number;
}

export interface DecisionInput {
  reason: Reason;
  /** When it is published as an event too. */
  event?: { name: string; id: string; old: unknown; new: unknown; causeId: string | null };
}

/**
 * Remembers this process's newest decisions and tells them to the node's journal. Recording costs microseconds, never
 * waits, never fails: a journal that is down, slow or frozen is told when it is back. What falls out of memory before
 * that is lost, and the journal says so.
 */
export class DecisionRecorder {
  readonly run: string;
  readonly #service: string;
  readonly #node: NodeId;
  readonly #path: string;
  readonly #ring: Decision[] = [];
  readonly #repeats = new Map<string, { untilMs: number; count: number }>();
  #seq = 0;
  /** All up to this number were written to the present connection. */
  #sentSeq = 0;
  #context: DecisionContext = {};
  #socket: Socket | null = null;
  #isTold = false;
  #heard = "";
  #isFlushDue = false;
  #retryMs = RETRY_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: { service: string; node: NodeId; runDir: string }) {
    const self = identifyProcess(process.pid);
    this.run = `${bootId()}/${options.service}/${process.pid}-${self?.startTime ?? "0"}`;
    this.#service = options.service;
    this.#node = options.node;
    this.#path = join(options.runDir, JOURNAL_SOCKET);
  }

  /** Stamped on every later decision. */
  know(context: DecisionContext): void {
    this.#context = { ...this.#context, ...context };
  }

  /** Keeps one decision. A reason that is told as an event in the same turn is one decision, not two. */
  record(input: DecisionInput): void {
    const { reason, event } = input;
    if (event !== undefined && this.#joinEvent(reason, event)) return;
    // What is told as an event is never left out: role changes that follow each other fast are the story.
    const repeats = event === undefined ? this.#countRepeat(reason) : 0;
    if (repeats === null) return;
    this.#seq += 1;
    this.#ring.push({
      run: this.run,
      seq: this.#seq,
      service: this.#service,
      node: this.#node,
      bootId: bootId(),
      wallMs: Date.now(),
      monoUs: monotonicUs(),
      code: reason.code,
      message: reason.message.slice(0, 4000),
      facts: repeats === 0 ? { ...reason.facts } : { ...reason.facts, notKept: repeats },
      event: event?.name ?? null,
      old: event?.old ?? null,
      new: event?.new ?? null,
      eventId: event?.id ?? null,
      causeId: event?.causeId ?? null,
      term: this.#context.term ?? null,
      view: this.#context.view ?? null,
      config: this.#context.config ?? null,
    });
    if (this.#ring.length > REMEMBERED_DECISIONS) this.#ring.shift();
    if (this.#isFlushDue || this.#isClosed) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** Hands what is left to the kernel, and ends the connection. The last words of a clean stop. */
  close(): void {
    this.#flush();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.end();
  }

  #joinEvent(reason: Reason, event: NonNullable<DecisionInput["event"]>): boolean {
    if (!this.#isFlushDue) return false;
    for (let index = this.#ring.length - 1; index >= 0; index--) {
      const known = this.#ring[index];
      if (known === undefined || known.seq <= this.#sentSeq) return false;
      if (known.event !== null || known.code !== reason.code || known.message !== reason.message) continue;
      this.#ring[index] = {
        ...known,
        facts: { ...known.facts, ...reason.facts },
        event: event.name,
        old: event.old,
        new: event.new,
        eventId: event.id,
        causeId: event.causeId,
      };
      return true;
    }
    return false;
  }

  /** Null: said a moment ago, only counted. Else how often it was said and not kept since it was last kept. */
  #countRepeat(reason: Reason): number | null {
    const key = `${reason.code} ${reason.message}`;
    const nowMs = performance.now();
    const known = this.#repeats.get(key);
    if (known !== undefined && nowMs < known.untilMs) {
      known.count += 1;
      return null;
    }
    this.#repeats.delete(key);
    this.#repeats.set(key, { untilMs: nowMs + REPEAT_MS, count: 0 });
    if (this.#repeats.size > REPEATS_LIMIT) {
      const [oldest] = this.#repeats.keys();
      if (oldest !== undefined) this.#repeats.delete(oldest);
    }
    return known?.count ?? 0;
  }

  #flush(): void {
    if (this.#socket === null) {
      if (this.#timer === undefined && !this.#isClosed) this.#connect();
      return;
    }
    if (!this.#isTold) return;
    const oldest = this.#ring[0]?.seq ?? this.#seq + 1;
    for (let index = Math.max(0, this.#sentSeq + 1 - oldest); index < this.#ring.length; index++) {
      const decision = this.#ring[index];
      if (decision === undefined || this.#socket.writableLength > UNREAD_LIMIT_BYTES) return;
      this.#say({ kind: "decision", decision });
      this.#sentSeq = decision.seq;
    }
  }

  #say(line: ToJournal): void {
    this.#socket?.write(`${JSON.stringify(line)}\n`);
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    this.#isTold = false;
    this.#heard = "";
    socket.unref();
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      this.#say({
        kind: "hello",
        run: this.run,
        service: this.#service,
        oldest: this.#ring[0]?.seq ?? this.#seq + 1,
        newest: this.#seq,
      });
    });
    socket.on("data", (text: string) => this.#hear(text));
    socket.on("drain", () => this.#flush());
    // What went wrong does not matter: "close" follows.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#lost(socket));
  }

  #hear(text: string): void {
    this.#heard = (this.#heard + text).slice(-4096);
    const end = this.#heard.indexOf("\n");
    if (end < 0) return;
    let line: unknown = null;
    try {
      line = JSON.parse(this.#heard.slice(0, end));
    } catch {
      // Not the journal: dropped like any other form that is not agreed.
    }
    this.#heard = this.#heard.slice(end + 1);
    const parsed = FromJournalSchema.safeParse(line);
    if (!parsed.success || parsed.data.kind !== "after") {
      this.#socket?.destroy();
      return;
    }
    this.#sentSeq = parsed.data.seq;
    this.#isTold = true;
    this.#retryMs = RETRY_FIRST_MS;
    this.#flush();
  }

  /** It may have died before it wrote down what it was sent: connect again, and be asked. */
  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#isTold = false;
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#connect();
    }, this.#retryMs);
    this.#timer.unref();
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LIMIT_MS);
  }
}

/** Records that the local bus went away and came back; not that it was there from the start. */
export function recordBus(bus: Bus, decisions: DecisionRecorder | undefined): void {
  let awaySinceMs: number | null = null;
  bus.onConnection((connected) => {
    if (!connected) {
      awaySinceMs = performance.now();
      decisions?.record({
        reason: {
          code: "BUS_AWAY",
          message: "The local NATS server does not answer: this node hears and says nothing.",
        },
      });
    } else if (awaySinceMs !== null) {
      const awayMs = Math.round(performance.now() - awaySinceMs);
      const message = `The local NATS server answers again, after ${(awayMs / 1000).toFixed(1)} s.`;
      decisions?.record({ reason: { code: "BUS_BACK", message, facts: { awayMs } } });
    }
  });
}
