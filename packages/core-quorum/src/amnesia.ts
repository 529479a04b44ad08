import { type Ballot, compareConfigRefs, type Reason } from "@quorate/contracts";
import { type QuorumState, remember } from "./state.ts";

/**
 * A node that lost its state may have voted for anybody. It gets its vote back from a configuration that was
 * committed without it, after the loss, by a master that it hears: every voter of that commit stood in the
 * master's term by then, so no earlier vote of this node can still make somebody master.
 */
export function considerReadmission(state: QuorumState, ballot: Ballot): Reason | null {
  const { durable } = state;
  if (!durable.amnesic || !ballot.master || ballot.node !== durable.follows || ballot.term !== durable.term)
    return null;
  // A ballot from before the loss proves nothing: it must answer one that this process has sent.
  const echo = ballot.echoes.find((entry) => entry.node === durable.node)?.received;
  if (echo?.bootId !== state.bootId || echo.atUs < state.startedAtUs) return null;
  const { committed } = ballot;
  if (committed === null) return null;
  if (durable.amnesicSinceVersion === null) {
    remember(state, { amnesicSinceVersion: committed.version });
    return null;
  }
  const stored =
    compareConfigRefs(committed, durable.stored) === 0 && committed.digest === durable.stored.digest;
  if (!stored || committed.version <= durable.amnesicSinceVersion) return null;
  remember(state, { amnesic: false, amnesicSinceVersion: null });
  return {
    code: "READMITTED",
    message: `Version ${committed.version}, committed without this node after it lost its state, gives it back its vote.`,
    facts: { version: committed.version, term: durable.term },
  };
}
