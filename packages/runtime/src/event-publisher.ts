import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  EVENTS,
  type EventData,
  type EventDomain,
  type EventEnvelope,
  EventEnvelopeSchema,
  type EventName,
  eventSubject,
  invariant,
  type Reason,
} from "@quorate/contracts";
import type { z } from "zod";
import type { Bus } from "./bus.ts";
import { bootId } from "./clock.ts";
import type { DecisionRecorder } from "./decision-recorder.ts";
import type { Logger } from "./logger.ts";

/**
 * A counter shared by all processes of a node without a lock: each draw appends one byte to a file, and the
 * kernel says where that byte landed. Starts anew with the run directory (that is, with the boot).
 */
export class SharedSequence {
  readonly #file: number;
  #last = 0;

  constructor(path: string) {
    this.#file = openSync(path, "a", 0o600);
  }

  /**
   * The next number, from 1; no two calls on this node get the same. While the run directory is full it goes on from
   * the last one by itself, and two processes may then say the same: an event must end no service.
   */
  next(): number {
    try {
      writeSync(this.#file, ".");
    } catch (error) {
      if (!["ENOSPC", "EDQUOT", "EROFS", "EIO"].includes((error as NodeJS.ErrnoException).code ?? ""))
        throw error;
      this.#last += 1;
      return this.#last;
    }
    const info = readFileSync(`/proc/self/fdinfo/${this.#file}`, "utf8");
    const position = /^pos:\s+(\d+)/m.exec(info);
    invariant(position !== null, "fdinfo has a position");
    this.#last = Number(position[1]);
    return this.#last;
  }

  close(): void {
    closeSync(this.#file);
  }
}

export interface EventInput<Domain extends EventDomain, Name extends EventName<Domain>> {
  old: EventData<Domain, Name> extends { old: infer Old } ? Old : never;
  new: EventData<Domain, Name> extends { new: infer New } ? New : never;
  /** Becomes `reason`, `message` and, merged with `facts`, the facts. */
  reason: Reason;
  facts: EventData<Domain, Name> extends { facts: infer Facts } ? Facts : never;
  /** Id of the event that brought this one about. */
  causeId?: string;
}

/** Events kept while the bus is away; the oldest go first. A gap in the sequence shows it. */
const WAITING_LIMIT = 256;

/**
 * Publishes this node's events: logged always, sent when the bus is there. Unlike local messages an event is
 * not repeated, so up to 256 wait for the bus; delivery is at most once.
 */
export class EventPublisher {
  readonly #bus: Bus;
  readonly #logger: Logger;
  readonly #source: string;
  readonly #sequence: SharedSequence;
  readonly #decisions: DecisionRecorder | undefined;
  readonly #waiting: Array<{ subject: string; envelope: EventEnvelope }> = [];

  constructor(options: {
    bus: Bus;
    service: string;
    runDir: string;
    logger: Logger;
    /** Each event is kept for the node's journal too. */
    decisions?: DecisionRecorder | undefined;
  }) {
    this.#bus = options.bus;
    this.#decisions = options.decisions;
    this.#logger = options.logger;
    this.#source = `/quorate/${options.bus.clusterName}/${options.bus.nodeId}/${options.service}`;
    mkdirSync(options.runDir, { recursive: true });
    this.#sequence = new SharedSequence(join(options.runDir, "event-sequence"));
    this.#bus.onConnection((connected) => {
      if (connected) this.#flush();
    });
  }

  /** Answers the event's id, to be given as `causeId` of what follows from it. Throws on a wrong form. */
  publish<Domain extends EventDomain, Name extends EventName<Domain>>(
    domain: Domain,
    name: Name,
    input: EventInput<Domain, Name>,
  ): string {
    const registered: Record<string, { data: z.ZodType }> = EVENTS[domain];
    const form = registered[name];
    invariant(form !== undefined, `event ${domain}.${name} is registered`);
    const data = form.data.parse({
      old: input.old,
      new: input.new,
      reason: input.reason.code,
      message: input.reason.message,
      facts: { ...input.reason.facts, ...(input.facts as object) },
    }) as EventEnvelope["data"];
    const sequence = this.#sequence.next();
    const envelope: EventEnvelope = {
      specversion: "1.0",
      id: `${this.#bus.nodeId}-${bootId()}-${sequence}`,
      source: this.#source,
      type: `quorate.v1.${domain}.${name}`,
      time: new Date().toISOString(),
      datacontenttype: "application/json",
      nodeid: this.#bus.nodeId,
      bootid: bootId(),
      sequence,
      ...(input.causeId === undefined ? {} : { causeid: input.causeId }),
      data,
    };
    this.#logger.info(
      { event: `${domain}.${name}`, eventId: envelope.id, old: data.old, new: data.new, reason: data.reason },
      data.message,
    );
    this.#decisions?.record({
      reason: { code: data.reason, message: data.message, facts: data.facts },
      event: {
        name: `${domain}.${name}`,
        id: envelope.id,
        old: data.old,
        new: data.new,
        causeId: input.causeId ?? null,
      },
    });
    const subject = eventSubject(this.#bus.clusterName, this.#bus.nodeId, domain, name);
    if (this.#waiting.length > 0 || !this.#bus.publish(subject, EventEnvelopeSchema, envelope)) {
      this.#waiting.push({ subject, envelope });
      if (this.#waiting.length > WAITING_LIMIT) this.#waiting.shift();
    }
    return envelope.id;
  }

  #flush(): void {
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined || !this.#bus.publish(next.subject, EventEnvelopeSchema, next.envelope)) return;
      this.#waiting.shift();
    }
  }
}
