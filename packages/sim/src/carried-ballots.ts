import { type Ballot, type CarriedBallot, carryBallot, readBallot } from "@quorate/contracts";

/** Every receiver of one ballot reads the same text: once is enough, and the writer knows it already. */
const known = new WeakMap<CarriedBallot, Ballot | null>();

export function carry(ballot: Ballot): CarriedBallot {
  const carried = carryBallot(ballot);
  known.set(carried, ballot);
  return carried;
}

/** As `readBallot`, at the cost of a look. What it answers is shared: never change it. */
export function readCarried(carried: CarriedBallot): Ballot | null {
  const ballot = known.get(carried) ?? readBallot(carried);
  known.set(carried, ballot);
  return ballot;
}
