/** A fault as its author writes it; the rest follows from whom it strikes. */
import type { Excuse, Fault } from "./fault.ts";

export type Draft = Pick<Fault, "title" | "expectedCause" | "inject"> &
  Partial<Pick<Fault, "n" | "hosts" | "group" | "samplesPerLab" | "watchMs" | "reach" | "excuse">>;

const SAMPLES = 10;
/** Two tokens of the lab and a bit: by then a lease has lapsed and a view was made, or they never will. */
const WATCH_MS = 2500;

function build(name: string, struck: Fault["struck"], draft: Draft, excuse: Excuse): Fault {
  return {
    n: SAMPLES,
    hosts: "plain",
    group: draft.group ?? name,
    samplesPerLab: SAMPLES,
    watchMs: WATCH_MS,
    reach: [],
    excuse,
    ...draft,
    name,
    struck,
  };
}

/** On the master a failover is excused, on a slave a change of view; or, for both, what is said. */
export function onBoth(family: string, draft: Draft, excuse?: Excuse): Fault[] {
  return [
    build(`${family}-master`, "master", draft, excuse ?? "failover"),
    build(`${family}-slave`, "slave", draft, excuse ?? "view"),
  ];
}

export function onMaster(family: string, draft: Draft, excuse: Excuse = "failover"): Fault {
  return build(`${family}-master`, "master", draft, excuse);
}

export function onAll(name: string, draft: Draft, excuse: Excuse): Fault {
  return build(name, "all", draft, excuse);
}
