import type { ClusterConfig } from "@quorate/contracts";
import { expect } from "vitest";
import { configFor, definitionOf, type MachineHost, type MachineSite, until } from "./machine-site.ts";

/** Its NIC passes by every gate. */
const UNGATED = definitionOf("vm1", 1).replace(
  "<interface type='bridge'><source bridge='vmbr0'/></interface>",
  "<interface type='direct'><source dev='eth0'/></interface>",
);

/** Node 2 has died with a machine that no gate holds; node 4 leads and knows its definition. */
export async function bereft(
  site: MachineSite,
  change: Partial<ClusterConfig> = {},
  code = "VM_NEEDS_HUMAN",
): Promise<{ two: MachineHost; four: MachineHost }> {
  const config = configFor([2, 4], change);
  const two = await site.host(2, config);
  const four = await site.host(4, config);
  for (const host of [two, four]) host.speak({ members: [2, 4], leader: 4 });
  const { obstacles } = await two.define("vm1", 1, UNGATED);
  expect(obstacles).toHaveLength(1);
  await until("it runs where it was defined", () => two.state("vm1") === "running");
  const digest = two.room.machines.host.vms["vm1"]?.record?.definition ?? "";
  await four.room.definitions.get(digest, [2]);
  two.speak(null);
  await two.part.close();
  four.speak({ number: 2, members: [4], fenced: [2] });
  await until("it waits", () => four.room.machines.relocator.blocked["vm1"]?.code === code);
  return { two, four };
}
