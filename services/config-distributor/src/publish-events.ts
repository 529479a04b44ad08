import { assertNever, type ClusterConfig, type Reason } from "@quorate/contracts";
import {
  type DocumentTools,
  type RegisterEvent,
  type StoredDocument,
  sameContent,
} from "@quorate/core-config";
import type { EventPublisher } from "@quorate/runtime";

/** Turns what the register tells into the registered events. */
export class RegisterEvents {
  readonly #publisher: EventPublisher;
  readonly #tools: DocumentTools;
  readonly #self: number;
  #committedConfig: ClusterConfig | null = null;
  #fileNote = "";

  constructor(publisher: EventPublisher, tools: DocumentTools, self: number) {
    this.#publisher = publisher;
    this.#tools = tools;
    this.#self = self;
  }

  publish(event: RegisterEvent, reason: Reason, document: StoredDocument): void {
    switch (event.type) {
      case "proposed":
        this.#publisher.publish("config", "config_proposed", {
          old: event.old,
          new: event.new,
          reason,
          facts: {},
        });
        return;
      case "stored": {
        const { old, new: current, from } = event;
        let causeId: string | undefined;
        if (from !== null && from !== this.#self && !sameContent(old, current)) {
          causeId = this.#publisher.publish("config", "config_fetched", {
            old,
            new: current,
            reason,
            facts: { from },
          });
        }
        const cause = causeId === undefined ? {} : { causeId };
        this.#publisher.publish("config", "config_stored", {
          old,
          new: current,
          reason,
          facts: {},
          ...cause,
        });
        return;
      }
      case "committed": {
        const { old, new: current } = event;
        const causeId = this.#publisher.publish("config", "config_committed", {
          old,
          new: current,
          reason,
          facts: {},
        });
        if (sameContent(document.ref, current)) this.#committed(document, causeId);
        return;
      }
      case "rejected":
        this.#publisher.publish("config", "config_rejected", {
          old: document.ref,
          new: event.ref,
          reason,
          facts: event.from === null ? {} : { from: event.from },
        });
        return;
      case "store-failed":
        this.#publisher.publish("config", "store_failed", { old: null, new: event.ref, reason, facts: {} });
        return;
      case "store-recovered":
        this.#publisher.publish("config", "store_recovered", {
          old: null,
          new: event.ref,
          reason,
          facts: {},
        });
        return;
      default:
        assertNever(event);
    }
  }

  /** The operator's file differs in another way than it did. */
  fileNote(note: Reason | null): void {
    const text = note === null ? "" : `${note.code} ${note.message}`;
    if (text === this.#fileNote) return;
    this.#fileNote = text;
    if (note !== null) {
      this.#publisher.publish("config", "file_differs", {
        old: null,
        new: note.code,
        reason: note,
        facts: {},
      });
    }
  }

  /** What a committed change means is told by the master that made it, once in the cluster. */
  #committed(document: StoredDocument, causeId: string): void {
    const verdict = this.#tools.read(document.text, "running.conf");
    if (!verdict.ok) return;
    const before = this.#committedConfig;
    this.#committedConfig = verdict.config;
    if (document.from !== this.#self) return;
    const { reason } = document;
    const facts = reason.facts ?? {};
    if (reason.code === "MASTERSHIP_STICKS") {
      this.#publisher.publish("config", "priority_swapped", {
        old: Number(facts["prioBefore"] ?? 0),
        new: Number(facts["prioAfter"] ?? 0),
        reason,
        facts: { peer: this.#self },
        causeId,
      });
    }
    const until = verdict.config.disarmedUntil ?? null;
    const untilBefore = before?.disarmedUntil ?? null;
    if (before === null || until === untilBefore) return;
    if (until === null) {
      this.#publisher.publish("config", "armed", { old: untilBefore, new: null, reason, facts: {}, causeId });
    } else {
      this.#publisher.publish("config", "disarmed", {
        old: untilBefore,
        new: until,
        reason,
        facts: {},
        causeId,
      });
    }
  }
}
