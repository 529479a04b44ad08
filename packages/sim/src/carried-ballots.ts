import type { Ballot, CarriedBallot } from "@quorate/contracts";

const known = new WeakMap<CarriedBallot, Ballot>();

/** As `carryBallot`, without the text: every receiver gets the ballot itself, so nobody writes or reads one. */
export function carry(ballot: Ballot): CarriedBallot {
  const { node, name, leaving, stored } = ballot;
  const carried = { node, name, leaving, stored, text: "" };
  known.set(carried, ballot);
  return carried;
}

/** As `readBallot`, at the cost of a look. What it answers is shared: never change it. Throws on a copy. */
export function readCarried(carried: CarriedBallot): Ballot {
  const ballot = known.get(carried);
  if (ballot === undefined)
    throw new Error("a carried ballot was copied on its way, which loses what it says");
  return ballot;
}
