import { assertNever, type GrantMessage } from "@quorate/contracts";
import type { FailoverConfig } from "./config.ts";
import { type FailoverInput, step } from "./failover.ts";
import { createFailoverState, type FailoverState } from "./state.ts";
import type { FileName, FileState, IssuedStep, Step, StepOutcome } from "./step.ts";

const TOKEN_US = 1_000_000;
const NODE = 1;
const TURN_US = 10_000;
const TURNS_PER_SLICE = 2;
const TURNS_PER_ROLE = 40;
const GRANT_EVERY_TURNS = 10;
const MASTERSHIPS = 3;

/**
 * Takes an address over and gives it back, three times, on a kernel that exists only here, in slices of a millisecond
 * or less; returns the names of the events met. Touches nothing outside itself. Why: as with the evaluator's
 * rehearsal, functions are compiled when they are first called, and a node may wait for months for its first take-over.
 * The first one here costs 14 to 22 ms of CPU, the third 5 to 10.
 */
export function* rehearseTakeOvers(): Generator<void, ReadonlySet<string>> {
  const stage = new Stage();
  for (let mastership = 1; mastership <= MASTERSHIPS; mastership += 1) {
    for (const role of ["slave", "master", "closed"] as const) {
      for (let turn = 0; turn < TURNS_PER_ROLE; turn += 1) {
        stage.turn(turn % GRANT_EVERY_TURNS === 0 ? { role, term: mastership } : null);
        if (turn % TURNS_PER_SLICE === 0) yield;
      }
    }
  }
  return stage.events;
}

const CONFIG: FailoverConfig = {
  nodeId: NODE,
  tokenUs: TOKEN_US,
  clusterIps: [{ address: "192.0.2.100", prefixLength: 24, family: 4, device: "rehearsal" }],
  ports: [1500],
  service: { startTimeoutUs: 30 * TOKEN_US, stopTimeoutUs: 30 * TOKEN_US },
  disarmed: false,
};

class Stage {
  readonly events = new Set<string>();
  #nowUs = 10_000_000;
  #state: FailoverState = createFailoverState(CONFIG, this.#nowUs, null);
  #issued: IssuedStep[] = [];
  #present = false;
  #isServing = false;
  readonly #files = new Map<FileName, FileState>();

  turn(granted: { role: "slave" | "master" | "closed"; term: number } | null): void {
    this.#nowUs += TURN_US;
    const issued = this.#issued.splice(0);
    for (const { id, step: what } of issued) this.#give({ kind: "done", id, outcome: this.#carryOut(what) });
    if (granted !== null) this.#give({ kind: "grant", grant: grantOf(granted, this.#nowUs) });
    else this.#give({ kind: "tick" });
  }

  #give(input: FailoverInput): void {
    const result = step(this.#state, input, this.#nowUs);
    this.#state = result.state;
    this.#issued.push(...result.steps);
    for (const { name } of result.events) this.events.add(name);
  }

  #carryOut(what: Step): StepOutcome {
    switch (what.kind) {
      case "renew-gate":
        return { kind: "renewed", leaseEndUs: what.leaseEndUs };
      case "shut-gate":
        return { kind: "shut-confirmed" };
      case "inspect-gate":
        return { kind: "gate-seen", intact: true, differences: [], open: [], holdsRawFrames: true };
      case "inspect-address": {
        const devices = this.#present ? [what.ip.device] : [];
        return { kind: "address-seen", present: this.#present, devices, validSeconds: null };
      }
      case "probe-address":
        return { kind: "probed", foreignMac: null };
      case "inspect-carrier":
        return { kind: "carrier-seen", carrier: "up" };
      case "inspect-file":
        return { kind: "file-seen", state: this.#files.get(what.file) ?? { kind: "absent" } };
      case "inspect-service":
        return { kind: "service-seen", state: this.#isServing ? "running" : "stopped", message: "" };
      case "check-readiness":
        return { kind: "readiness-seen", ready: this.#isServing, message: "" };
      case "add-address":
      case "remove-address":
        this.#present = what.kind === "add-address";
        return { kind: "done" };
      case "start-service":
      case "stop-service":
        this.#isServing = what.kind === "start-service";
        return { kind: "done" };
      case "write-file":
        this.#files.set(what.file, { kind: "ours", term: what.term, node: what.node });
        return { kind: "done" };
      case "remove-file":
        this.#files.delete(what.file);
        return { kind: "done" };
      case "load-gate":
      case "persist-closed":
      case "refresh-address":
      case "announce":
      case "watch-claims":
      case "relocate":
        return { kind: "done" };
      default:
        return assertNever(what);
    }
  }
}

function grantOf(
  granted: { role: "slave" | "master" | "closed"; term: number },
  nowUs: number,
): GrantMessage {
  const { role, term } = granted;
  const endUs = nowUs + TOKEN_US;
  return {
    stampUs: nowUs,
    term,
    generation: 1,
    role: role === "master" ? "master" : "slave",
    masterLeaseEndUs: role === "master" ? endUs : 0,
    nodeLeaseEndUs: endUs,
    close: role === "closed",
    view: { term, number: 1 },
    disarmed: false,
    reason: { code: "MASTER", message: "Rehearsed; nothing of this happens." },
  };
}
