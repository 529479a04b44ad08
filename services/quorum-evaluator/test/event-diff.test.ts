import {
  EVENTS,
  type EventDomain,
  type EventName,
  type QuorumMessage,
  type Reason,
} from "@quorate/contracts";
import { hostConfig } from "@quorate/corosync-conf";
import { initialState, startQuorum, stepQuorum } from "@quorate/core-quorum";
import type { EventInput, EventPublisher } from "@quorate/runtime";
import { beforeEach, describe, expect, it } from "vitest";
import { EventDiff } from "../src/event-diff.ts";

const TEXT = `totem {
	cluster_name: VMmanager
	transport: udpu
}
nodelist {
	node {
		ring0_addr: 10.92.0.4
		nodeid: 4
	}
	node {
		ring0_addr: 10.92.0.8
		nodeid: 8
	}
}
`;

/** As the publisher: refuses what the registry does not know. */
class Recorder implements Pick<EventPublisher, "publish"> {
  readonly told: Array<{ name: string; new: unknown; facts: object }> = [];

  publish<Domain extends EventDomain, Name extends EventName<Domain>>(
    domain: Domain,
    name: Name,
    input: EventInput<Domain, Name>,
  ): string {
    const forms: Record<string, { data: { parse(value: unknown): unknown } }> = EVENTS[domain];
    const { code, message, facts } = input.reason;
    const merged = { ...facts, ...(input.facts as object) };
    forms[name]?.data.parse({ old: input.old, new: input.new, reason: code, message, facts: merged });
    this.told.push({ name, new: input.new, facts: merged });
    return "";
  }
}

function pause(): { message: QuorumMessage; reasons: readonly Reason[] } {
  const config = hostConfig(TEXT, "test");
  const ref = { term: 0, version: config.configVersion, digest: "0".repeat(64) };
  const state = startQuorum(initialState(config, ref, 4), {
    nowUs: 1_000_000,
    bootId: "0123456789abcdef",
    seed: 1,
  });
  const result = stepQuorum(state, {
    kind: "suspended-host",
    jumpUs: 2_500_000,
    nowUs: 1_000_001,
    drainedUs: 0,
  });
  const quorum = result.effects.find((effect) => effect.kind === "quorum");
  if (quorum?.kind !== "quorum") throw new Error("nothing was judged");
  return { message: quorum.message, reasons: result.reasons };
}

let recorder: Recorder;
let diff: EventDiff;

beforeEach(() => {
  recorder = new Recorder();
  diff = new EventDiff(recorder);
});

describe("the events of the evaluator", () => {
  it("tell for how long the kernel stood still", () => {
    const { message, reasons } = pause();
    diff.publish(message, reasons);
    const paused = recorder.told.find(({ name }) => name === "kernel_paused");
    expect(paused).toMatchObject({ new: 2500, facts: { pauseMs: 2500 } });
  });

  it("tell of lost state and of the order to leave", () => {
    diff.amnesiaFound({ code: "STATE_MISSING", message: "It is missing." });
    diff.drainRequested();
    expect(recorder.told.map(({ name }) => name)).toEqual(["amnesia_found", "drain_requested"]);
  });

  it("leave out what names no node, instead of failing on it", () => {
    const { message } = pause();
    const reason = (code: string, node?: number): Reason => ({
      code,
      message: "As the test says.",
      ...(node === undefined ? {} : { facts: { node } }),
    });
    diff.publish(message, [reason("NODE_SILENT"), reason("NODE_FENCED", 0), reason("DRAINED")]);
    diff.publish(message, [reason("NODE_SILENT", 8)]);
    const told = recorder.told.filter(({ name }) => name.startsWith("node_") || name.startsWith("handover_"));
    expect(told.map(({ name, new: now }) => [name, now])).toEqual([
      ["handover_started", null],
      ["node_removed", "removed"],
    ]);
  });
});
