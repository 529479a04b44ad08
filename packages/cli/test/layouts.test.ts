import { describe, expect, it } from "vitest";
import { membershipInformation, nodeList, quorumInformation } from "../src/layouts.ts";
import type { NodeLine } from "../src/status.ts";

function line(id: number, address: string, letter: "M" | "S", prio: number, isLocal = false): NodeLine {
  return { id, address, name: null, state: "joined", letter, prio, votes: 1, isLocal, isMember: true };
}

const nodes = [
  line(7, "172.31.224.72", "M", 100, true),
  line(9, "172.31.224.74", "S", 40),
  line(13, "172.31.224.80", "S", 10),
];

describe("layouts of the field's tools", () => {
  it("corolistener -l", () => {
    expect(nodeList("VMmanager", nodes)).toBe(
      ` VMmanager-cloud node list
 =============================================================
         Id               Ip    Status  Master/Slave  Priority
          7    172.31.224.72    joined             M       100
          9    172.31.224.74    joined             S        40
         13    172.31.224.80    joined             S        10
`,
    );
  });

  it("sets off what is too long for its column", () => {
    const long = { ...line(4_294_967_295, "fd00:31:224::7:1", "S", 2_147_483_647), state: "joined" as const };
    const longer = { ...long, id: 7, address: "fd00:172:31:224::72" };
    const list = nodeList("VMmanager", [long, longer]).split("\n").slice(3, 5);
    expect(list).toEqual([
      " 4294967295 fd00:31:224::7:1    joined             S 2147483647",
      "          7 fd00:172:31:224::72    joined             S 2147483647",
    ]);
  });

  it("corosync-quorumtool -l", () => {
    expect(membershipInformation(nodes)).toBe(
      `
Membership information
----------------------
    Nodeid      Votes Name
         7          1 172.31.224.72 (local)
         9          1 172.31.224.74
        13          1 172.31.224.80
`,
    );
  });

  it("corosync-quorumtool -s", () => {
    const information = {
      wallClock: new Date(2026, 10, 2, 6, 7, 8),
      nodeId: 7,
      view: { term: 2, number: 3 },
      quorate: true,
      config: { totalVotes: 3, quorumVotes: 2 },
      nodes,
    };
    expect(quorumInformation(information)).toBe(
      `Quorum information
------------------
Date:             Mon Nov  2 06:07:08 2026
Quorum provider:  corosync_votequorum
Nodes:            3
Node ID:          7
Ring ID:          7.20003
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      3
Quorum:           2  
Flags:            Quorate 

Membership information
----------------------
    Nodeid      Votes Name
         7          1 172.31.224.72 (local)
         9          1 172.31.224.74
        13          1 172.31.224.80
`,
    );
    const alone = quorumInformation({ ...information, quorate: false, nodes: nodes.slice(0, 1) });
    expect(alone).toContain("Quorum:           2 Activity blocked\n");
    expect(alone).toContain("Quorate:          No\n");
  });
});
