import type { ClusterConfig } from "@quorate/contracts";
import { describe, expect, it } from "vitest";
import { objectionToChange } from "../src/index.ts";
import { configOf, quorumMessage, refOf } from "./model-document.ts";

function node(id: number, part: Partial<ClusterConfig["nodes"][number]> = {}) {
  return { id, prio: 100 - id, votes: 1, addresses: [`10.0.0.${id}`], replication: true, ...part };
}

const before = configOf({ nodes: [node(1), node(2), node(3)] });
const members = [1, 2, 3].map((id) => ({ node: id, bootId: null }));
const view = { term: 1, number: 4, members };
const ref = refOf(1, "x");

function objection(after: ClusterConfig, part: Parameters<typeof quorumMessage>[0] = { stored: ref, view }) {
  return objectionToChange(before, after, quorumMessage(part));
}

describe("what a change may do in a running cluster", () => {
  it("priorities, services, addresses of the cluster: whatever the file says", () => {
    expect(
      objection({ ...before, nodes: [node(1, { prio: 1 }), node(2), node(3, { prio: 500 })] }),
    ).toBeNull();
    expect(objection({ ...before, ihttpdPorts: [80] })).toBeNull();
    const address = { address: "10.0.0.100", family: 4 as const, device: "eth0", prefixLength: 24 };
    expect(objection({ ...before, clusterIps: [address] })).toBeNull();
  });

  it("nodes, votes and the token one at a time", () => {
    expect(objection(configOf({ nodes: [node(1), node(2), node(3), node(4)] }))).toBeNull();
    expect(objection({ ...before, totalVotes: 5 })).toBeNull();
    expect(objection({ ...before, tokenMs: 300 })).toBeNull();
    const twoNodes = configOf({ nodes: [node(1), node(2), node(3), node(4), node(5)] });
    expect(objection(twoNodes)).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("changes 2") as string,
    });
    const twoVotes = configOf({ nodes: [node(1, { votes: 2 }), node(2), node(3, { votes: 2 })] });
    expect(objection(twoVotes)?.code).toBe("CONFIG_INVALID");
    expect(
      objection(configOf({ nodes: [node(1, { votes: 2 }), node(2), node(3)], tokenMs: 300 }))?.code,
    ).toBe("CONFIG_INVALID");
  });

  it("a node leaves, or moves, only when it is out of the view and fenced", () => {
    const without = configOf({ nodes: [node(1), node(2)] });
    expect(objection(without)).toMatchObject({
      code: "UNSAFE",
      hint: expect.stringContaining("node 3") as string,
    });
    const out = { term: 1, number: 5, members: members.slice(0, 2) };
    const pending = [{ node: 3, verdict: "pending" as const, atUs: null }];
    expect(objection(without, { stored: ref, view: out, fences: pending })?.code).toBe("UNSAFE");
    const fenced = [{ node: 3, verdict: "yes" as const, atUs: 1 }];
    expect(objection(without, { stored: ref, view: out, fences: fenced })).toBeNull();
    const moved = configOf({ nodes: [node(1), node(2), node(3, { addresses: ["10.0.0.33"] })] });
    expect(objection(moved)?.code).toBe("UNSAFE");
    expect(objection(moved, { stored: ref, view: out, fences: fenced })).toBeNull();
    const secondRing = configOf({
      nodes: [node(1), node(2), node(3, { addresses: ["10.0.0.3", "10.1.0.3"] })],
    });
    expect(objection(secondRing)).toBeNull();
  });

  it("nothing that would part those who have it from those who have not", () => {
    const ring = { ring: 0, mcastport: 5405, ttl: 1 };
    expect(objection({ ...before, clusterName: "Other" })?.code).toBe("CONFIG_INVALID");
    expect(objection({ ...before, transport: "udp" })?.code).toBe("UNSAFE");
    expect(objection({ ...before, routePort: 1234 })?.code).toBe("UNSAFE");
    expect(objection({ ...before, rings: [{ ...ring, mcastport: 5406 }] })?.code).toBe("UNSAFE");
    expect(objection({ ...before, rings: [ring, { ring: 1, mcastport: 5407, ttl: 1 }] })).toBeNull();
  });

  it("nothing that a node would refuse to start with", () => {
    const entry = {
      key: "quorum.two_node",
      line: 3,
      column: 2,
      dangerous: true,
      message: "two_node is not honoured.",
      hint: "Add a voter.",
    };
    expect(objection({ ...before, notHonoured: [entry] })).toMatchObject({
      code: "CONFIG_INVALID",
      hint: "Add a voter.",
    });
    expect(objection({ ...before, notHonoured: [{ ...entry, dangerous: false }] })).toBeNull();
  });
});
