import { randomBytes } from "node:crypto";
import { type CarriedBallot, carryBallot, type NodeId } from "@quorate/contracts";
import type { Heartbeat } from "@quorate/core-membership";
import { clusterKeyOf } from "../src/wire/key-file.ts";
import { Opener } from "../src/wire/opener.ts";
import { Sealer } from "../src/wire/sealer.ts";

export const KEY = clusterKeyOf(randomBytes(128));
export const CLUSTER = "VMmanager";

export function bootOf(node: NodeId): string {
  return node.toString(16).padStart(16, "0");
}

export function ballotOf(node: NodeId, atUs: number, voters: readonly NodeId[] = [2, 4, 8]): CarriedBallot {
  return carryBallot({
    node,
    name: { bootId: bootOf(node), atUs },
    changed: false,
    tokenMs: 1000,
    term: 3,
    follows: 4,
    master: false,
    released: null,
    preVote: null,
    preVoteFor: null,
    view: { term: 3, number: 2, members: voters.map((voter) => ({ node: voter, bootId: bootOf(voter) })) },
    out: false,
    clean: null,
    stored: { term: 3, version: 2, digest: "c".repeat(64) },
    committed: null,
    able: { ok: true, code: "able", message: "This node could serve." },
    amnesic: false,
    leaving: false,
    echoes: voters.map((voter) => ({
      node: voter,
      received: { bootId: bootOf(voter), atUs: atUs - voter, ageUs: voter * 1000 },
      granted: { bootId: bootOf(voter), atUs: atUs - voter },
      sinceLastGrantUs: voter * 1000,
    })),
  });
}

export function heartbeatOf(node: NodeId, incarnation: number, more: Partial<Heartbeat> = {}): Heartbeat {
  return {
    cluster: CLUSTER,
    node,
    incarnation,
    bootId: bootOf(node),
    goodbye: false,
    // The hint is what the evaluator has stored, as its ballot says.
    config: more.ballot?.stored ?? null,
    hears: [{ node: 2, incarnation: 77, links: [{ ring: 0, ageUs: 5 }] }],
    ballot: null,
    ...more,
  };
}

export function sealerOf(node: NodeId, incarnation: number, more: { clusterName?: string } = {}): Sealer {
  return new Sealer({ clusterName: CLUSTER, key: KEY, node, incarnation, ...more });
}

export function openerOf(): Opener {
  return new Opener({ clusterName: CLUSTER, key: KEY });
}

/** One datagram on ring 0. */
export function sealed(sealer: Sealer, heartbeat: Heartbeat, ring = 0): Buffer {
  const datagram = sealer.seal(heartbeat, [ring])?.get(ring);
  if (datagram === undefined) throw new Error("too large");
  return datagram;
}
