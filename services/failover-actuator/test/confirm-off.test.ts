import type { Peer } from "@quorate/contracts";
import { monotonicUs } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bereft } from "./bereft.ts";
import { configFor, type MachineHost, MachineSite, TOKEN_MS, until } from "./machine-site.ts";

let site: MachineSite;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
});
afterEach(() => site.remove());

function peersMessage(node: number, peer: number, state: Peer["state"], lastHeardUs: number) {
  const reason = { code: "TEST", message: "As the test says." };
  const bootId = "0123456789abcdef";
  return {
    stampUs: monotonicUs(),
    node,
    bootId,
    incarnation: 1,
    patience: 1,
    peers: [
      {
        node: peer,
        state,
        sinceUs: 1,
        lastHeardUs,
        bootId: null,
        incarnation: null,
        config: null,
        links: [],
        reason,
      },
    ],
  };
}

const confirm = (host: MachineHost, node: number) =>
  host.bus.request("failover-actuator", "machine-confirm-off", host.id, { node }, 3000);

describe("an operator's word that a host is off", () => {
  it("is refused while anybody hears the host, then starts what waited, and ends when it is heard", async () => {
    const { two, four } = await bereft(site);
    await expect(confirm(four, 4)).rejects.toMatchObject({ code: "NODE_MAY_BE_ON" });
    const answer = (peers: ReturnType<typeof peersMessage>) => ({ peers, counters: {}, problems: [] });
    const heard = monotonicUs();
    await until("nobody heard it for a token", () => monotonicUs() - heard > TOKEN_MS * 1500);
    // It may be cut off from the master's heartbeats alone.
    const own = two.bus.serve("membership", "status", () => answer(peersMessage(2, 4, "joined", heard)));
    await expect(confirm(four, 2)).rejects.toThrow("answers over the bus");
    own.unsubscribe();
    const { term, placed, left } = await confirm(four, 2);
    expect({ term, placed, left }).toEqual({ term: 1, placed: [{ vm: "vm1", to: 4 }], left: [] });
    await until("it runs on the other node", () => four.state("vm1") === "running");
    const log = () => four.logged.join("\n");
    await until("the word is told", () => log().includes("HOST_OFF_CONFIRMED"));
    expect((await four.ask()).offProofs).toMatchObject([{ node: 2, witness: "operator" }]);
    four.bus.publishLocal("peers", peersMessage(4, 2, "suspect", monotonicUs()));
    await until("it is void", () => log().includes("HOST_OFF_VOID"));
    expect((await four.ask()).offProofs).toEqual([]);
    await expect(confirm(four, 2)).rejects.toThrow("was heard");
  });

  it("is refused when another host hears it, which the master does not", async () => {
    const config = configFor([2, 4, 6]);
    const six = await site.host(6, config);
    const four = await site.host(4, config);
    for (const host of [four, six]) host.speak({ number: 2, members: [4, 6], leader: 4, fenced: [2] });
    await until("node 4 leads", () => four.room.machines.relocator.reign !== null);
    const peers = peersMessage(6, 2, "one-way", monotonicUs());
    six.bus.serve("membership", "status", () => ({ peers, counters: {}, problems: [] }));
    await expect(confirm(four, 2)).rejects.toThrow("Node 6 hears node 2");
    await expect(confirm(six, 2)).rejects.toMatchObject({ code: "NOT_MASTER" });
  });
});
