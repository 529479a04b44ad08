import { QuorateError } from "@quorate/contracts";
import { z } from "zod";
import type { IpTool } from "../tools/ip-tool.ts";
import type { Carrier } from "./carrier.ts";

const ListingSchema = z.array(
  z.object({ ifname: z.string().optional(), flags: z.array(z.string()).optional() }),
);

/**
 * Carrier as the kernel's LOWER_UP flag, asked by netlink: /sys may show another network namespace's devices.
 * A bridge has carrier while any of its ports has, a virtual machine's tap included.
 */
export function createRealCarrier(tool: IpTool): Carrier {
  return {
    async inspect(device) {
      try {
        const listing = ListingSchema.parse((await tool.command(`link show dev ${device}`)) ?? []);
        const flags = listing.find((entry) => entry.ifname === device)?.flags;
        if (flags === undefined) return "missing";
        return flags.includes("UP") && flags.includes("LOWER_UP") ? "up" : "down";
      } catch (error) {
        if (error instanceof QuorateError && error.code === "INTERFACE_MISSING") return "missing";
        throw error;
      }
    },
  };
}
