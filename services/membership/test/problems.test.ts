import { describe, expect, it } from "vitest";
import { membershipProblems } from "../src/problems.ts";

describe("what membership says is degraded", () => {
  it("is nothing when all is well", () => {
    expect(
      membershipProblems({ durable: true, rings: { problems: [] }, state: { identityProblem: null } }),
    ).toEqual([]);
  });

  it("is a node id that is used twice, a ring that cannot open, and a disk that takes no writes", () => {
    const twice = { code: "duplicate-node-id", message: "Another machine uses node id 4." };
    const problems = membershipProblems({
      durable: false,
      rings: {
        problems: [
          { ring: 1, code: "PORT_TAKEN", message: "UDP port 5405 is taken.", hint: "Stop the other." },
        ],
      },
      state: { identityProblem: twice },
    });
    expect(problems.map(({ code }) => code)).toEqual(["duplicate-node-id", "PORT_TAKEN", "DISK_FULL"]);
    expect(problems[1]?.facts).toEqual({ ring: 1, remedy: "Stop the other." });
  });
});
