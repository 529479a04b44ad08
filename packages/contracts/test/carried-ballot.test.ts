import { describe, expect, it } from "vitest";
import { type Ballot, BALLOT_TEXT_MAX, CarriedBallotSchema, carryBallot, readBallot } from "../src/index.ts";

const BALLOT: Ballot = {
  node: 4,
  name: { bootId: "0".repeat(16), atUs: 5 },
  changed: true,
  tokenMs: 1000,
  term: 3,
  follows: 4,
  master: true,
  released: null,
  preVote: null,
  preVoteFor: null,
  view: { term: 3, number: 1, members: [{ node: 4, bootId: "0".repeat(16) }] },
  out: false,
  clean: null,
  stored: { term: 3, version: 2, digest: "c".repeat(64) },
  committed: null,
  able: { ok: true, code: "OK", message: "" },
  amnesic: false,
  leaving: false,
  echoes: [],
};

describe("a carried ballot", () => {
  it("is read as it was given", () => {
    const carried = carryBallot(BALLOT);
    expect(readBallot(CarriedBallotSchema.parse(JSON.parse(JSON.stringify(carried))))).toEqual(BALLOT);
  });

  it("says in the open whose it is: its text cannot claim otherwise", () => {
    const carried = carryBallot(BALLOT);
    const { stored: _stored, ...foreign } = BALLOT;
    const forged = {
      ...carried,
      text: JSON.stringify({ ...foreign, node: 8, name: { bootId: "x", atUs: 9 } }),
    };
    expect(readBallot(forged)).toEqual(BALLOT);
  });

  it("is refused when its text has not the form", () => {
    const carried = carryBallot(BALLOT);
    for (const text of ["", "{", "null", "[]", "7", "{}", carried.text.replace('"term":3', '"term":-3')]) {
      expect(readBallot({ ...carried, text })).toBe(null);
    }
    expect(CarriedBallotSchema.safeParse({ ...carried, text: "x".repeat(BALLOT_TEXT_MAX + 1) }).success).toBe(
      false,
    );
  });
});
