import { expect, test } from "vitest";
import { rehearseTakeOvers } from "../src/index.ts";

test("the rehearsal takes the address over and gives it back", () => {
  const rehearsal = rehearseTakeOvers();
  let turn = rehearsal.next();
  while (turn.done !== true) turn = rehearsal.next();
  const wanted = ["gate_opened", "gate_shut", "address_added", "address_removed", "service_ready"];
  expect([...turn.value].filter((name) => wanted.includes(name)).sort()).toEqual(wanted.sort());
});
