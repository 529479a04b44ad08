import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import type { GateVip } from "./gate.ts";
import type { FilterAnswer, FilterReading, KernelFilter } from "./kernel-filter.ts";
import { parseTableListing, type TableListing } from "./nft-listing.ts";
import {
  checkVips,
  egressChain,
  expectedTable,
  leaseTables,
  renderHeldChange,
  renderTables,
  TABLES,
  type TableFamily,
} from "./nft-ruleset.ts";
import { NftTool } from "./nft-tool.ts";

/** The cluster addresses in nftables. */
export class NftFilter implements KernelFilter {
  readonly #nft: NftTool;
  #vips: readonly GateVip[] = [];
  /**
   * The tables as this nft lists them right after we wrote them; another version of nft may print them otherwise than
   * we would. Found tables are adopted only when they are literally as expected.
   */
  readonly #written = new Map<TableFamily, string>();

  constructor(context: HostContext, answerTimeoutMs: number) {
    this.#nft = new NftTool(context, answerTimeoutMs);
  }

  get toolStarts(): number {
    return this.#nft.starts;
  }

  async load(vips: readonly GateVip[]): Promise<void> {
    checkVips(vips);
    this.#vips = [...vips];
    const lines: string[] = [];
    let adopted = true;
    for (const table of TABLES) {
      const listing = await this.#list(table);
      if (listing === undefined || listing.skeleton !== (this.#written.get(table) ?? expectedTable(table))) {
        adopted = false;
        break;
      }
      lines.push(...renderHeldChange(table, listing.held, vips));
      // Not ours: we never open without an end.
      if (listing.open.some(endless)) lines.push(`flush set ${table} quorate lease`);
    }
    if (!adopted) {
      // All of them, so that an address is never open in one table and shut in another.
      await this.#nft.run(renderTables(TABLES, vips));
      for (const table of TABLES) {
        const listing = await this.#list(table);
        if (listing !== undefined) this.#written.set(table, listing.skeleton);
      }
    } else if (lines.length > 0) {
      await this.#nft.run(lines.map((line) => `${line}\n`).join(""));
    }
    await this.#loadEgress();
  }

  permit(number: number, timeoutMs: number): Promise<FilterAnswer> {
    return this.#nft.transact([`create element arp quorate permit { ${number} timeout ${timeoutMs}ms }`]);
  }

  commit(number: number, vips: readonly GateVip[], timeoutMs: number): Promise<FilterAnswer> {
    const lines = [`delete element arp quorate permit { ${number} }`, ...this.#flushLeases()];
    for (const table of TABLES) {
      const elements = vips
        .filter((vip) => leaseTables(vip.family).includes(table))
        .map((vip) => `${vip.address} timeout ${timeoutMs}ms`);
      if (elements.length > 0) lines.push(`add element ${table} quorate lease { ${elements.join(", ")} }`);
    }
    return this.#nft.transact(lines);
  }

  shut(): Promise<FilterAnswer> {
    const lines = TABLES.map((table) => `flush set ${table} quorate lease`);
    return this.#nft.transact([...lines, "flush set arp quorate permit"]);
  }

  async read(): Promise<FilterReading> {
    const differences: string[] = [];
    const remaining = new Map<string, number>();
    let holdsRawFrames = true;
    for (const table of this.#tablesInUse()) {
      const listing = await this.#list(table);
      if (listing === undefined) {
        differences.push(`table ${table} quorate is missing`);
        continue;
      }
      const expected = this.#written.get(table) ?? expectedTable(table);
      if (listing.skeleton !== expected) differences.push(`table ${table} quorate is not as it was written`);
      const held = this.#vips
        .filter((vip) => leaseTables(vip.family).includes(table))
        .map((vip) => normaliseAddress(vip.address))
        .sort();
      if (held.join() !== listing.held.join()) {
        differences.push(`table ${table} quorate does not hold exactly the cluster addresses`);
      }
      if (listing.open.some(endless)) differences.push(`table ${table} quorate is open without an end`);
      for (const { address, remainingUs } of listing.open) {
        const key = this.#spelling(address);
        remaining.set(key, Math.max(remaining.get(key) ?? 0, remainingUs));
      }
      if (table === "netdev") holdsRawFrames = this.#hasEgress(listing);
    }
    const open = [...remaining.entries()]
      .map(([address, remainingUs]) => ({ address, remainingUs }))
      .sort((a, b) => (a.address < b.address ? -1 : 1));
    return { differences, open, holdsRawFrames };
  }

  async unload(): Promise<void> {
    this.#written.clear();
    const lines = TABLES.flatMap((table) => [
      `table ${table} quorate {`,
      "}",
      `delete table ${table} quorate`,
    ]);
    await this.#nft.run(`${lines.join("\n")}\n`);
  }

  close(): Promise<void> {
    return this.#nft.close();
  }

  /** Only tables that hold something: an IPv4 cluster pays nothing for IPv6. The permits' table always. */
  #tablesInUse(): readonly TableFamily[] {
    return TABLES.filter(
      (table) => table === "arp" || this.#vips.some((vip) => leaseTables(vip.family).includes(table)),
    );
  }

  #flushLeases(): string[] {
    return this.#tablesInUse().map((table) => `flush set ${table} quorate lease`);
  }

  async #list(table: TableFamily): Promise<TableListing | undefined> {
    const text = await this.#nft.list(`${table} quorate`);
    return text === undefined ? undefined : parseTableListing(text);
  }

  /** One chain per device. A device that is not there, or a kernel without the hook, costs only this guarantee. */
  async #loadEgress(): Promise<void> {
    const listing = await this.#list("netdev");
    if (listing === undefined) return;
    const chains = this.#egressChains();
    const kept = new Set(chains.map((chain) => chain.name));
    const surplus = [...listing.egressChains.keys()].filter((name) => !kept.has(name)).sort();
    if (surplus.length > 0) await this.#nft.run(surplus.map(deleteEgress).join(""));
    for (const chain of chains) {
      const found = listing.egressChains.get(chain.name);
      if (found === chain.expected) continue;
      try {
        await this.#nft.run((found === undefined ? "" : deleteEgress(chain.name)) + chain.script);
      } catch (error) {
        if (!(error instanceof QuorateError) || error.code !== "TOOL_FAILED") throw error;
      }
    }
  }

  #egressChains(): ReturnType<typeof egressChain>[] {
    const devices = new Set(this.#vips.filter((vip) => vip.family === 4).map((vip) => vip.device));
    return [...devices].sort().map((device, index) => egressChain(index, device));
  }

  #hasEgress(listing: TableListing): boolean {
    return this.#egressChains().every((chain) => listing.egressChains.get(chain.name) === chain.expected);
  }

  /** The address as `load` was given it. */
  #spelling(address: string): string {
    return this.#vips.find((vip) => normaliseAddress(vip.address) === address)?.address ?? address;
  }
}

function endless(element: { readonly remainingUs: number }): boolean {
  return element.remainingUs === Number.POSITIVE_INFINITY;
}

function deleteEgress(name: string): string {
  return `delete chain netdev quorate ${name}\n`;
}
