import { createHash } from "node:crypto";
import {
  stepRegister,
  replayTools,
  type RegisterInput,
  type RegisterState,
  type ToolAnswer,
} from "@quorate/core-config";
import { type FailoverInput, type FailoverState, step } from "@quorate/core-failover";
import { type MembershipInput, type MembershipState, stepMembership } from "@quorate/core-membership";
import { type QuorumInput, type QuorumState, stepQuorum } from "@quorate/core-quorum";
import { encodeTagged, type RecordedService } from "@quorate/runtime";
import type { ServiceRecording } from "./recording-file.ts";

interface Replayed {
  state: unknown;
  decided: unknown;
}

function split(result: { readonly state: unknown }): Replayed {
  const { state, ...decided } = result;
  return { state, decided };
}

/**
 * The same cores as in the services. What stands in a recording was written by them and is sealed by a digest, so its
 * form is not checked again.
 */
const CORES: Record<RecordedService, (state: unknown, input: unknown) => Replayed> = {
  membership(state, input) {
    const given = input as { nowUs: number; input: MembershipInput };
    return split(stepMembership(state as MembershipState, given.nowUs, given.input));
  },
  "quorum-evaluator": (state, input) => split(stepQuorum(state as QuorumState, input as QuorumInput)),
  "failover-actuator"(state, input) {
    const given = input as { input: FailoverInput; nowUs: number };
    return split(step(state as FailoverState, given.input, given.nowUs));
  },
  "config-distributor"(state, input) {
    const given = input as { input: RegisterInput; answers: readonly ToolAnswer[] };
    return split(stepRegister(state as RegisterState, given.input, replayTools(given.answers)));
  },
};

/** Where replay and recording part for the first time. */
export interface Difference {
  /** From 1, over all segments. */
  step: number;
  /** `decision`, or `state` when the decisions are equal and what is remembered is not. */
  what: "decision" | "state";
  /** The input of that step; null for a state. */
  input: unknown;
  /** The place within the decision or the state, as `effects.0.ballot.term`. */
  place: string;
  expected: unknown;
  got: unknown;
}

export interface ServiceReplay {
  service: RecordedService;
  node: number;
  build: string;
  steps: number;
  decisions: number;
  /** Of the replayed decisions, up to the difference. */
  digest: string;
  difference: Difference | null;
  /** What the last step threw when it was recorded, and throws again; null when it ended well. */
  thrown: string | null;
}

/** Gives the inputs to the core again and compares every decision, and the state at the end of each segment. */
export function replayService({ head, segments, end }: ServiceRecording): ServiceReplay {
  const digest = createHash("sha256");
  const core = CORES[head.service];
  let steps = 0;
  let decisions = 0;
  let thrown: string | null = null;
  const answer = (difference: Difference | null): ServiceReplay => ({
    service: head.service,
    node: head.node,
    build: head.build,
    steps,
    decisions,
    digest: digest.digest("hex"),
    difference,
    thrown,
  });
  const differ = (what: Difference["what"], input: unknown, wanted: unknown, seen: unknown) =>
    answer({ step: steps, what, input, ...firstDifference(wanted, seen) });
  for (const [index, segment] of segments.entries()) {
    let { state } = segment;
    for (const { input, decided } of segment.steps) {
      steps += 1;
      const replayed = attempt(core, state, input);
      const text = encodeTagged(replayed.decided);
      if (text !== encodeTagged(decided)) return differ("decision", input, decided, replayed.decided);
      digest.update(text).update("\n");
      decisions += decisionsIn(replayed.decided);
      thrown = thrownIn(replayed.decided);
      state = replayed.state;
    }
    const wanted = segments[index + 1]?.state ?? end.state;
    if (encodeTagged(state) !== encodeTagged(wanted)) return differ("state", null, wanted, state);
  }
  return answer(null);
}

function attempt(core: (typeof CORES)[RecordedService], state: unknown, input: unknown): Replayed {
  try {
    return core(state, input);
  } catch (error) {
    return { state, decided: { thrown: String(error) } };
  }
}

/** Reasons are what a core calls a decision; the register calls them events. */
function decisionsIn(decided: unknown): number {
  const { reasons, effects } = decided as { reasons?: unknown[]; effects?: { kind?: string }[] };
  return reasons?.length ?? effects?.filter(({ kind }) => kind === "event").length ?? 0;
}

function thrownIn(decided: unknown): string | null {
  const { thrown } = decided as { thrown?: unknown };
  return typeof thrown === "string" ? thrown : null;
}

function firstDifference(
  expected: unknown,
  got: unknown,
  place: readonly string[] = [],
): { place: string; expected: unknown; got: unknown } {
  const [left, right] = [membersOf(expected), membersOf(got)];
  if (left !== null && right !== null) {
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      const [one, other] = [left.get(key), right.get(key)];
      if (text(one) !== text(other)) return firstDifference(one, other, [...place, key]);
    }
  }
  return { place: place.join("."), expected, got };
}

function text(value: unknown): string {
  return value === undefined ? "" : encodeTagged(value);
}

function membersOf(value: unknown): Map<string, unknown> | null {
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [String(key), member]));
  if (typeof value !== "object" || value === null || value instanceof Set) return null;
  return new Map(Object.entries(value));
}
