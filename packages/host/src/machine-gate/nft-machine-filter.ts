import type { FilterAnswer } from "../gate/kernel-filter.ts";
import { type ListedElement, splitListing } from "../gate/nft-listing.ts";
import { NftTool } from "../gate/nft-tool.ts";
import type { HostContext } from "../tools/host-context.ts";
import {
  type HeldMachines,
  type MachineFilter,
  type MachineReading,
  readOpenings,
  type SelectedOpening,
  tapsOf,
  userOf,
} from "./machine-filter.ts";
import {
  checkMachines,
  expectedMachineTable,
  MACHINE_TABLES,
  type MachineTable,
  renderMachineRemoval,
  renderMachineTables,
  renderStorageChange,
  storageKeys,
} from "./machine-ruleset.ts";

const FLUSH_ALL = ["flush set bridge quorate_machines tap", "flush set inet quorate_machines user"];
const VOID_PERMITS = "flush set bridge quorate_machines permit";

interface Listing {
  readonly skeleton: string;
  readonly sets: ReadonlyMap<string, readonly ListedElement[]>;
}

/** The machines in nftables. */
export class NftMachineFilter implements MachineFilter {
  readonly #nft: NftTool;
  #held: HeldMachines = { machines: [], storage: [] };
  /** The tables as this nft lists them right after we wrote them: another version may print them otherwise. */
  readonly #written = new Map<MachineTable, string>();

  constructor(context: HostContext, answerTimeoutMs: number) {
    this.#nft = new NftTool(context, answerTimeoutMs);
  }

  get toolStarts(): number {
    return this.#nft.starts;
  }

  async load(held: HeldMachines): Promise<void> {
    checkMachines(held.machines, held.storage);
    this.#held = held;
    const bridge = await this.#list("bridge");
    const inet = await this.#list("inet");
    if (!this.#isAsExpected("bridge", bridge) || !this.#isAsExpected("inet", inet)) {
      // Both, so that a machine is never open in one table by an older word than in the other.
      await this.#nft.run(renderMachineTables(held.storage));
      for (const table of MACHINE_TABLES) {
        const listing = await this.#list(table);
        if (listing !== undefined) this.#written.set(table, listing.skeleton);
      }
      return;
    }
    const lines = [...renderStorageChange(storageIn(inet), storageKeys(held.storage))];
    // Not ours: we never open without an end.
    if ([...elements(bridge, "tap"), ...elements(inet, "user")].some(isEndless)) lines.push(...FLUSH_ALL);
    if (lines.length > 0) await this.#nft.run(`${lines.join("\n")}\n`);
  }

  permit(number: number, timeoutMs: number): Promise<FilterAnswer> {
    return this.#nft.transact([
      `create element bridge quorate_machines permit { ${number} timeout ${timeoutMs}ms }`,
    ]);
  }

  commit(number: number, openings: readonly SelectedOpening[], timeoutMs: number): Promise<FilterAnswer> {
    const taps = openings.filter((opening) => opening.network).flatMap(({ machine }) => tapsOf(machine));
    const users = openings.filter((opening) => opening.storage).map(({ machine }) => userOf(machine));
    return this.#nft.transact([
      `delete element bridge quorate_machines permit { ${number} }`,
      ...FLUSH_ALL,
      ...addOpen(taps, users, `${timeoutMs}ms`),
    ]);
  }

  shut(vms?: readonly string[]): Promise<FilterAnswer> {
    if (vms === undefined) return this.#nft.transact([...FLUSH_ALL, VOID_PERMITS]);
    const machines = this.#held.machines.filter(({ vm }) => vms.includes(vm));
    const taps = machines.flatMap(tapsOf);
    const users = machines.map(userOf);
    // This nft cannot delete what may have run out, so it is added first: within one transaction nobody ever sees that.
    return this.#nft.transact([
      ...addOpen(taps, users, "1s"),
      ...(taps.length === 0
        ? []
        : [`delete element bridge quorate_machines tap { ${quoted(taps).join(", ")} }`]),
      ...(users.length === 0 ? [] : [`delete element inet quorate_machines user { ${users.join(", ")} }`]),
      VOID_PERMITS,
    ]);
  }

  async read(): Promise<MachineReading> {
    const bridge = await this.#list("bridge");
    const inet = await this.#list("inet");
    const differences = [...this.#differences("bridge", bridge), ...this.#differences("inet", inet)];
    const storage = storageKeys(this.#held.storage);
    if (inet !== undefined && storageIn(inet).join() !== storage.join()) {
      differences.push("table inet quorate_machines does not hold exactly the storage");
    }
    const taps = elements(bridge, "tap").map((tap) => ({ ...tap, key: tap.key.replaceAll('"', "") }));
    const users = elements(inet, "user");
    if ([...taps, ...users].some(isEndless)) differences.push("a machine's gate is open without an end");
    return { differences, ...readOpenings(this.#held.machines, { taps, users }) };
  }

  async unload(): Promise<void> {
    this.#written.clear();
    await this.#nft.run(renderMachineRemoval());
  }

  close(): Promise<void> {
    return this.#nft.close();
  }

  #differences(table: MachineTable, listing: Listing | undefined): string[] {
    if (listing === undefined) return [`table ${table} quorate_machines is missing`];
    if (this.#isAsExpected(table, listing)) return [];
    return [`table ${table} quorate_machines is not as it was written`];
  }

  #isAsExpected(table: MachineTable, listing: Listing | undefined): listing is Listing {
    return listing?.skeleton === (this.#written.get(table) ?? expectedMachineTable(table));
  }

  async #list(table: MachineTable): Promise<Listing | undefined> {
    const text = await this.#nft.list(`${table} quorate_machines`);
    if (text === undefined) return undefined;
    const { lines, sets } = splitListing(text);
    return { skeleton: lines.join("\n"), sets };
  }
}

function addOpen(taps: readonly string[], users: readonly string[], timeout: string): readonly string[] {
  const timed = (keys: readonly string[]): string =>
    keys.map((key) => `${key} timeout ${timeout}`).join(", ");
  return [
    ...(taps.length === 0 ? [] : [`add element bridge quorate_machines tap { ${timed(quoted(taps))} }`]),
    ...(users.length === 0 ? [] : [`add element inet quorate_machines user { ${timed(users)} }`]),
  ];
}

function quoted(taps: readonly string[]): readonly string[] {
  return taps.map((tap) => `"${tap}"`);
}

function elements(listing: Listing | undefined, set: string): readonly ListedElement[] {
  return listing?.sets.get(set) ?? [];
}

function storageIn(inet: Listing): readonly string[] {
  return [...elements(inet, "storage4"), ...elements(inet, "storage6")].map(({ key }) => key).sort();
}

function isEndless({ remainingUs }: ListedElement): boolean {
  return remainingUs === Number.POSITIVE_INFINITY;
}
