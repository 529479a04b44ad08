import { type Command, InvalidArgumentError, Option } from "commander";
import type { LabTopology } from "./configuration.ts";
import { DEFAULT_GUESTS, MOST_GUESTS } from "./guest/guests.ts";

export type TopologyOptions = {
  token: number;
  transport: "file" | "udpu";
  rings: "1" | "2";
  ipv6?: boolean;
  vms?: number | true;
};

export function addTopologyOptions(command: Command, defaults: LabTopology): Command {
  return command
    .option("--token <ms>", "totem.token", wholeNumber, defaults.tokenMs)
    .addOption(
      new Option("--transport <kind>", "heartbeats as the file has them (multicast), or unicast")
        .choices(["file", "udpu"])
        .default(defaults.transport),
    )
    .addOption(
      new Option("--rings <n>", "networks between the hosts")
        .choices(["1", "2"])
        .default(String(defaults.rings)),
    )
    .option("--ipv6", "a second cluster address, IPv6")
    .option("--vms [count]", `virtual machines, ${DEFAULT_GUESTS} unless told`, guestCount);
}

export function topologyOf(options: TopologyOptions): LabTopology {
  return {
    tokenMs: options.token,
    transport: options.transport,
    rings: options.rings === "2" ? 2 : 1,
    ipv6: options.ipv6 === true,
    guests: options.vms === true ? DEFAULT_GUESTS : (options.vms ?? 0),
  };
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("A whole number is wanted.");
  return Number(text);
}

function guestCount(text: string): number {
  const count = wholeNumber(text);
  if (count < 1 || count > MOST_GUESTS) throw new InvalidArgumentError(`From 1 to ${MOST_GUESTS}.`);
  return count;
}
