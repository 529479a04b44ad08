import { posix } from "node:path";
import type { NodeId } from "@quorate/contracts";
import type { MachineDefinition, MachineDisk } from "@quorate/host";

/** Where a machine is, or would be, with what it writes on. */
export interface Writer {
  readonly node: NodeId;
  readonly meaning: MachineDefinition;
}

/**
 * The first disk of `one` that `other` has too, where two who write destroy it; null: none. What cannot be recognised is
 * no reason: one device by two names, one server by two addresses.
 */
export function diskOfBoth(one: Writer, other: Writer): MachineDisk | null {
  const isClash = (left: MachineDisk, right: MachineDisk) =>
    (left.writing === "alone" || right.writing === "alone") && isSame(left, right, one.node === other.node);
  const theirs = other.meaning.disks.filter(({ writing }) => writing !== "none");
  return (
    one.meaning.disks
      .filter(({ writing }) => writing !== "none")
      .find((disk) => theirs.some((their) => isClash(disk, their))) ?? null
  );
}

function isSame(left: MachineDisk, right: MachineDisk, oneHost: boolean): boolean {
  if (left.kind === "network" || right.kind === "network") {
    if (left.kind !== right.kind || left.source !== right.source) return false;
    // Two lists of one cluster's monitors need not be equal. Without any, both mean what the host has configured.
    if (left.endpoints.length === 0 || right.endpoints.length === 0)
      return left.endpoints.length === right.endpoints.length;
    const names = new Set(left.endpoints.map(({ address, port }) => `${address} ${port}`));
    return right.endpoints.some(({ address, port }) => names.has(`${address} ${port}`));
  }
  if (left.source === "?" || posix.normalize(left.source) !== posix.normalize(right.source)) return false;
  return oneHost || (left.kind === "shared-mount" && right.kind === "shared-mount");
}
