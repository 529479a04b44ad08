import type { Checker } from "./checker.ts";

/** Which execution of a machine wrote something: a start is a new one, a live migration goes on with the same. */
export type Lineage = { vm: string; id: number };

/**
 * The array that every host reaches: what arrives is written. It knows nothing of leases, so a write of an execution
 * that a newer one has overtaken destroys data: INV-3, as the disk sees it.
 */
export class SharedStorage {
  private readonly current = new Map<string, number>();
  private readonly writes = new Map<string, number>();
  private nextId = 1;
  private readonly checker: Checker;

  constructor(checker: Checker) {
    this.checker = checker;
  }

  /** A fresh start reads the disk: from here on nothing older may arrive. */
  begin(vm: string): Lineage {
    const id = this.nextId++;
    this.current.set(vm, id);
    return { vm, id };
  }

  arrive(lineage: Lineage, from: string): void {
    const current = this.current.get(lineage.vm);
    if (current === lineage.id) {
      this.writes.set(lineage.vm, (this.writes.get(lineage.vm) ?? 0) + 1);
      return;
    }
    this.checker.violate(
      "INV-3",
      `a write of execution ${lineage.id} of ${lineage.vm}, from ${from}, arrives after execution ${current} began`,
    );
  }

  writesOf(vm: string): number {
    return this.writes.get(vm) ?? 0;
  }
}
