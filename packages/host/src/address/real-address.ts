import type { ClusterIp } from "@quorate/contracts";
import { z } from "zod";
import type { IpTool } from "../tools/ip-tool.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import { interfaceMissing, runTool } from "../tools/run-tool.ts";
import type { Address, AddressInspection } from "./address.ts";

/** What `ip -j addr show` says of one address; parts that do not match come as empty objects. */
const ListingSchema = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z
      .array(
        z.object({
          local: z.string().optional(),
          prefixlen: z.int().optional(),
          tentative: z.boolean().optional(),
          dadfailed: z.boolean().optional(),
          valid_life_time: z.number().optional(),
        }),
      )
      .optional(),
  }),
);

const LinksSchema = z.array(z.object({ ifindex: z.int().optional() }));

const FOREVER_SECONDS = 0xffff_ffff;

interface Found {
  readonly device: string;
  readonly prefixLength: number;
  readonly usable: boolean;
  readonly validSeconds: number;
}

/** Cluster addresses on this kernel, by iproute2. */
export function createRealAddress(tool: IpTool): Address {
  return new RealAddress(tool);
}

class RealAddress implements Address {
  readonly #tool: IpTool;
  /** Devices that promote secondaries, by the index they had: one made anew under its old name has forgotten it. */
  readonly #promoting = new Map<string, number>();

  constructor(tool: IpTool) {
    this.#tool = tool;
  }

  prepare(ip: ClusterIp): Promise<void> {
    return this.#promoteSecondaries(ip);
  }

  async add(ip: ClusterIp, validSeconds: number): Promise<void> {
    await this.#promoteSecondaries(ip);
    for (const found of await this.#find(ip)) {
      if (found.device !== ip.device || found.prefixLength !== ip.prefixLength) await this.#delete(ip, found);
    }
    await this.#replace(ip, validSeconds, await this.#extraFlags(ip));
  }

  async refresh(ip: ClusterIp, validSeconds: number): Promise<void> {
    // Flags of an address that is there stay as they are; of one that has gone they matter.
    await this.#replace(ip, validSeconds, await this.#extraFlags(ip));
  }

  async remove(ip: ClusterIp): Promise<void> {
    for (const found of await this.#find(ip)) await this.#delete(ip, found);
  }

  async inspect(ip: ClusterIp): Promise<AddressInspection> {
    const all = await this.#find(ip);
    const right = all.find((found) => found.device === ip.device && found.prefixLength === ip.prefixLength);
    const validSeconds = right?.validSeconds ?? FOREVER_SECONDS;
    return {
      present: right?.usable ?? false,
      devices: [...new Set(all.map((found) => found.device))].sort(),
      validSeconds: right === undefined || validSeconds === FOREVER_SECONDS ? null : validSeconds,
    };
  }

  close(): Promise<void> {
    return this.#tool.close();
  }

  #replace(ip: ClusterIp, validSeconds: number, flags: string): Promise<unknown> {
    const seconds = Math.max(1, Math.ceil(validSeconds));
    // IPv6: deprecated, so that the host does not choose the address for connections of its own.
    const preferred = ip.family === 6 ? 0 : seconds;
    return this.#tool.command(
      `addr replace ${ip.address}/${ip.prefixLength} dev ${ip.device} valid_lft ${seconds} preferred_lft ${preferred}${flags}`,
    );
  }

  /**
   * IPv6: without duplicate detection, which would hold the address back for a second; and without a route of its own
   * where the device has one for that prefix, since the kernel would give that route the address's life time.
   */
  async #extraFlags(ip: ClusterIp): Promise<string> {
    if (ip.family === 4) return "";
    const prefix = `${ip.address}/${ip.prefixLength}`;
    const listing = ListingSchema.parse(
      (await this.#tool.command(`addr show dev ${ip.device} to ${prefix}`)) ?? [],
    );
    const neighbours = listing
      .flatMap((entry) => entry.addr_info ?? [])
      .filter((info) => info.local !== undefined);
    const others = neighbours.some(
      (info) => normaliseAddress(info.local ?? "") !== normaliseAddress(ip.address),
    );
    return others ? " nodad noprefixroute" : " nodad";
  }

  #delete(ip: ClusterIp, found: Found): Promise<unknown> {
    const line = `addr del ${ip.address}/${found.prefixLength} dev ${found.device}`;
    return this.#tool.command(line).catch((error: unknown) => {
      // It ran out, or its device went, in between: what was wanted.
      const words = error instanceof Error ? error.message : "";
      if (!/Cannot assign requested address|Address not found|does not exist|Cannot find device/.test(words))
        throw error;
    });
  }

  async #find(ip: ClusterIp): Promise<readonly Found[]> {
    const length = ip.family === 4 ? 32 : 128;
    const listing = ListingSchema.parse(
      (await this.#tool.command(`addr show to ${ip.address}/${length}`)) ?? [],
    );
    const found: Found[] = [];
    for (const entry of listing) {
      for (const info of entry.addr_info ?? []) {
        if (entry.ifname === undefined || info.local === undefined || info.prefixlen === undefined) continue;
        found.push({
          device: entry.ifname,
          prefixLength: info.prefixlen,
          usable: info.tentative !== true && info.dadfailed !== true,
          validSeconds: info.valid_life_time ?? FOREVER_SECONDS,
        });
      }
    }
    return found;
  }

  /**
   * When the cluster address was the first of its network on the device, removing it (or its running out) would take
   * the host's own address along, unless the kernel is told to promote that one.
   */
  async #promoteSecondaries(ip: ClusterIp): Promise<void> {
    if (ip.family === 6) return;
    const index = await this.#indexOf(ip.device);
    if (this.#promoting.get(ip.device) === index) return;
    const path = `/proc/sys/net/ipv4/conf/${ip.device}/promote_secondaries`;
    const result = await runTool(this.#tool.context, ["sh", "-c", 'echo 1 > "$0"', path]);
    if (result.exitCode !== 0) {
      if (/nonexistent directory|No such file/.test(result.errorOutput)) throw interfaceMissing(ip.device);
      return;
    }
    this.#promoting.set(ip.device, index);
  }

  async #indexOf(device: string): Promise<number> {
    const known = await this.#askIndex(device);
    if (known !== undefined) return known;
    // A long-lived ip remembers the index of a device that has been made anew, and shows nothing for it.
    await this.#tool.close();
    const index = await this.#askIndex(device);
    if (index === undefined) throw interfaceMissing(device);
    return index;
  }

  async #askIndex(device: string): Promise<number | undefined> {
    const listing = await this.#tool.command(`link show dev ${device}`).catch((error: unknown) => {
      const words = error instanceof Error ? error.message : "";
      throw /does not exist|Cannot find device/.test(words) ? interfaceMissing(device) : error;
    });
    return LinksSchema.parse(listing ?? [])[0]?.ifindex;
  }
}
