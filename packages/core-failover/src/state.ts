import type {
  ClusterIp,
  EventData,
  EventName,
  GrantMessage,
  Reason,
  ReportMessage,
} from "@quorate/contracts";
import { type FailoverConfig, type Timing, timingOf } from "./config.ts";
import type { Carrier, FileState, GrantName, IssuedStep, Step, StepError } from "./step.ts";

/** What is known of the kernel's filter. Old knowledge is `unknown`, never a guess. */
export interface GateFacts {
  tables: "unknown" | "intact" | "missing";
  /** The addresses the tables hold, as one string. */
  loadedFor: string;
  open: "unknown" | "shut" | "open";
  /** The kernel has shut by then, whatever happens to us. */
  openUntilUs: number;
  openAddresses: string[];
  inspectedAtUs: number | null;
  /** A renewal found nothing to renew: either the tables are gone or its permit expired. Look. */
  suspect: boolean;
  holdsRawFrames: boolean;
  /** The newest close for which the kernel was read back as shut. */
  readBackFor: GrantName | null;
}

export interface AddressFacts {
  ip: ClusterIp;
  seen: "unknown" | "absent" | "present" | "wrong";
  devices: string[];
  validUntilUs: number | null;
  inspectedAtUs: number | null;
  stale: boolean;
  /** Nobody else answered for it since this node became master: it may be put on and opened. */
  taken: boolean;
  probedAtUs: number | null;
  /** Who else answered or claimed it last. */
  foreign: { mac: string; atUs: number; onProbe: boolean } | null;
  /** Announcements run from here; null when none are due. */
  announce: { fromUs: number; next: number } | null;
}

export interface CarrierFacts {
  seen: "unknown" | Carrier;
  inspectedAtUs: number | null;
  stale: boolean;
}

export interface FileFacts {
  seen: FileState | null;
  inspectedAtUs: number | null;
  /** Somebody else removed ours. */
  lost: boolean;
}

export interface ServiceFacts {
  seen: "unknown" | "stopped" | "running" | "failed";
  inspectedAtUs: number | null;
  stale: boolean;
  /** When it was last started or found running while it should run; null when it should not, or has ended. */
  startedAtUs: number | null;
  ready: boolean;
  lastReadyAtUs: number | null;
  checkedAtUs: number | null;
  /** Within the window, oldest first. */
  failures: number[];
  streak: number;
  /** It cannot serve here (see SERVICE_FAILURES_LIMIT). */
  unable: boolean;
  restartAtUs: number;
  /** Nothing of it can be left: it was stopped and not started since. */
  sweptUp: boolean;
  message: string;
}

export interface Flight {
  id: number;
  step: Step;
  startedAtUs: number;
  /** A shut was ordered after it began: what it says about the gate being open does not count. */
  overtaken: boolean;
}

export interface Trouble {
  failures: number;
  retryAtUs: number;
  error: StepError;
}

/** All that is remembered between two turns. Opaque outside of this package; plain data, safe to clone. */
export interface FailoverState {
  config: FailoverConfig;
  startedAtUs: number;
  /** Asked to end in good order: whatever is held is taken down. */
  stopping: boolean;
  nextStepId: number;
  /** The newest grant accepted. */
  grant: GrantMessage | null;
  /** The newest close ever accepted. */
  closed: GrantName | null;
  closedPersisted: GrantName | null;
  shutConfirmed: GrantName | null;
  /** Grants stamped up to here are void: before our start, or before the clocks jumped. */
  voidUntilUs: number;
  /** Since when, and in which term, this node acts as master; null when it does not. */
  holding: { term: number; sinceUs: number; relocated: boolean } | null;
  gate: GateFacts;
  /** By address: every configured one, and those of an older configuration until they are gone. */
  addresses: Record<string, AddressFacts>;
  /** By device. */
  carriers: Record<string, CarrierFacts>;
  files: { lock: FileFacts; marker: FileFacts };
  service: ServiceFacts;
  /** The addresses whose claims are listened for, as one string. */
  watching: string;
  /** By key. */
  flights: Record<string, Flight>;
  /** By key and kind of step. */
  troubles: Record<string, Trouble>;
  counters: Record<string, number>;
  /** The newest grant that was refused as older than what is known; a stuck evaluator shows here. */
  refusedGrant: { name: GrantName; atUs: number } | null;
  /** The last whole turn: until `rideAtUs` a grant that says nothing new needs none. */
  last: { report: ReportMessage; wakeAtUs: number; rideAtUs: number } | null;
  /** What the last report said, to tell what is new in the next. */
  reported: { able: boolean | null; problems: Record<string, Reason> };
}

type Name = EventName<"failover">;

/** Something happened that the registry of events knows: for the bus, the log and people. */
export type FailoverEvent = {
  [Each in Name]: {
    name: Each;
    old: EventData<"failover", Each> extends { old: infer Old } ? Old : never;
    new: EventData<"failover", Each> extends { new: infer New } ? New : never;
    /** Holds the event's facts too. */
    reason: Reason;
  };
}[Name];

export function createFailoverState(
  config: FailoverConfig,
  nowUs: number,
  closed: GrantName | null,
): FailoverState {
  const state: FailoverState = {
    config,
    startedAtUs: nowUs,
    stopping: false,
    nextStepId: 1,
    grant: null,
    closed,
    closedPersisted: closed,
    shutConfirmed: null,
    voidUntilUs: nowUs,
    holding: null,
    gate: {
      tables: "unknown",
      loadedFor: "",
      open: "unknown",
      openUntilUs: 0,
      openAddresses: [],
      inspectedAtUs: null,
      suspect: false,
      holdsRawFrames: false,
      readBackFor: null,
    },
    addresses: {},
    carriers: {},
    files: {
      lock: { seen: null, inspectedAtUs: null, lost: false },
      marker: { seen: null, inspectedAtUs: null, lost: false },
    },
    service: {
      seen: "unknown",
      inspectedAtUs: null,
      stale: false,
      startedAtUs: null,
      ready: false,
      lastReadyAtUs: null,
      checkedAtUs: null,
      failures: [],
      streak: 0,
      unable: false,
      restartAtUs: nowUs,
      sweptUp: false,
      message: "",
    },
    watching: "",
    flights: {},
    troubles: {},
    counters: {},
    refusedGrant: null,
    last: null,
    reported: { able: null, problems: {} },
  };
  adoptConfig(state, config);
  return state;
}

/** Takes a new configuration; addresses no longer in it stay known until they are gone. */
export function adoptConfig(state: FailoverState, config: FailoverConfig): void {
  state.config = config;
  for (const ip of config.clusterIps) {
    const known = state.addresses[ip.address];
    if (known === undefined) {
      state.addresses[ip.address] = {
        ip,
        seen: "unknown",
        devices: [],
        validUntilUs: null,
        inspectedAtUs: null,
        stale: false,
        taken: false,
        probedAtUs: null,
        foreign: null,
        announce: null,
      };
    } else if (known.ip.device !== ip.device || known.ip.prefixLength !== ip.prefixLength) {
      known.ip = ip;
      known.stale = true;
      known.taken = false;
    }
    state.carriers[ip.device] ??= { seen: "unknown", inspectedAtUs: null, stale: false };
  }
}

export function isConfigured(state: FailoverState, address: string): boolean {
  return state.config.clusterIps.some((ip) => ip.address === address);
}

export function sortedAddresses(state: FailoverState): AddressFacts[] {
  return Object.values(state.addresses).sort((left, right) => (left.ip.address < right.ip.address ? -1 : 1));
}

/** What the tables must hold: the configured addresses and those not yet gone. */
export function guardedIps(state: FailoverState): ClusterIp[] {
  return sortedAddresses(state).map(({ ip }) => ip);
}

export function ipsKey(ips: readonly ClusterIp[]): string {
  return ips.map((ip) => `${ip.address}/${ip.prefixLength}@${ip.device}`).join(" ");
}

/** One call of `step`: a private copy of the state, and what comes out of it. */
export interface Turn {
  state: FailoverState;
  nowUs: number;
  timing: Timing;
  steps: IssuedStep[];
  events: FailoverEvent[];
  reasons: Reason[];
  wakeAtUs: number;
  /** From then on something may be done with a turn that comes anyway. */
  rideAtUs: number;
}

function copyEach<Value extends object>(record: Record<string, Value>): Record<string, Value> {
  const copy: Record<string, Value> = {};
  for (const key in record) {
    const value = record[key];
    if (value !== undefined) copy[key] = { ...value };
  }
  return copy;
}

/**
 * Copies what a turn changes in place; what is only ever replaced (grants, steps, lists) is shared.
 * A tenth of the cost of structuredClone, which was a fifth of this service's CPU.
 */
function copyState(state: FailoverState): FailoverState {
  const addresses = copyEach(state.addresses);
  for (const facts of Object.values(addresses))
    if (facts.announce !== null) facts.announce = { ...facts.announce };
  return {
    ...state,
    holding: state.holding === null ? null : { ...state.holding },
    gate: { ...state.gate },
    addresses,
    carriers: copyEach(state.carriers),
    files: { lock: { ...state.files.lock }, marker: { ...state.files.marker } },
    service: { ...state.service, failures: [...state.service.failures] },
    flights: copyEach(state.flights),
    troubles: copyEach(state.troubles),
    counters: { ...state.counters },
    reported: { ...state.reported },
  };
}

export function beginTurn(state: FailoverState, nowUs: number): Turn {
  return {
    state: copyState(state),
    nowUs,
    timing: timingOf(state.config.tokenUs),
    steps: [],
    events: [],
    reasons: [],
    wakeAtUs: Number.MAX_SAFE_INTEGER,
    rideAtUs: Number.MAX_SAFE_INTEGER,
  };
}

/** Asks to be called again at `atUs` at the latest. */
export function wakeAt(turn: Turn, atUs: number): void {
  turn.wakeAtUs = Math.min(turn.wakeAtUs, Math.max(atUs, turn.nowUs + 1));
  turn.rideAtUs = Math.min(turn.rideAtUs, turn.wakeAtUs);
}

export function count(turn: Turn, name: string): void {
  turn.state.counters[name] = (turn.state.counters[name] ?? 0) + 1;
}

export function tell(turn: Turn, event: FailoverEvent): void {
  turn.events.push(event);
}

/** A decision that is no event of its own. */
export function note(turn: Turn, reason: Reason): void {
  turn.reasons.push(reason);
}

function troubleKey(key: string, kind: Step["kind"]): string {
  return `${key}/${kind}`;
}

export function troubleOf(state: FailoverState, key: string, kind: Step["kind"]): Trouble | undefined {
  return state.troubles[troubleKey(key, kind)];
}

export function clearTrouble(state: FailoverState, key: string, kind: Step["kind"]): void {
  delete state.troubles[troubleKey(key, kind)];
}

export function noteTrouble(turn: Turn, key: string, kind: Step["kind"], error: StepError): void {
  const failures = (troubleOf(turn.state, key, kind)?.failures ?? 0) + 1;
  const waitUs = Math.min(
    turn.timing.retryMostUs,
    turn.timing.retryFirstUs * 2 ** Math.min(failures - 1, 12),
  );
  turn.state.troubles[troubleKey(key, kind)] = { failures, retryAtUs: turn.nowUs + waitUs, error };
  if (failures === 1) {
    const facts = { step: kind, subject: key, remedy: error.hint };
    note(turn, { code: error.code, message: error.message, facts });
  }
}

/** Orders a step unless one of its key is under way, or it failed lately. Says whether it was ordered. */
export function order(turn: Turn, key: string, step: Step): boolean {
  const { state, nowUs } = turn;
  if (state.flights[key] !== undefined) return false;
  const trouble = troubleOf(state, key, step.kind);
  if (trouble !== undefined && trouble.retryAtUs > nowUs) {
    wakeAt(turn, trouble.retryAtUs);
    return false;
  }
  const id = state.nextStepId;
  state.nextStepId += 1;
  state.flights[key] = { id, step, startedAtUs: nowUs, overtaken: false };
  turn.steps.push({ id, key, step });
  return true;
}

/**
 * Whether a look taken at `atUs` is older than `periodUs`; arranges to be called when it will be. Up to T/10 early,
 * so that looks fall on turns that a grant brings anyway: waking up is most of what an idle process costs.
 */
export function lookDue(turn: Turn, atUs: number | null, periodUs: number): boolean {
  const earlyUs = Math.min(turn.timing.tokenUs / 10, periodUs / 4);
  if (atUs === null || atUs + periodUs - earlyUs <= turn.nowUs) return true;
  wakeAt(turn, atUs + periodUs);
  turn.rideAtUs = Math.min(turn.rideAtUs, atUs + periodUs - earlyUs);
  return false;
}
