import { expect, test } from "vitest";
import { rehearseHandOvers } from "../src/index.ts";

test("the rehearsal plays an election and hand-overs to their end", () => {
  const rehearsal = rehearseHandOvers();
  let turn = rehearsal.next();
  while (turn.done !== true) turn = rehearsal.next();
  const wanted = ["STANDING", "VOTED", "ELECTED", "VIEW_ADOPTED", "RELEASED"];
  expect([...turn.value].filter((code) => wanted.includes(code)).sort()).toEqual(wanted.sort());
});
