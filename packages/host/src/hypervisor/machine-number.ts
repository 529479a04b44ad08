import { createHash } from "node:crypto";

/** Users of machines' processes: a range that no distribution hands out. */
export const MACHINE_USER_FIRST = 0x4000_0000;
export const MACHINE_USER_LAST = 0x4fff_ffff;
/** Whoever only knocks at a storage: next to the machines' users, and no machine's. */
export const STORAGE_PROBE_USER = 0x5000_0000;
/** No other interface of a host is named so; what is unknown and named so is shut too. */
export const TAP_PREFIX = "qv";

/** The number of a machine, the same on every host: 28 bits of its UUID's digest. A clash is refused when it is defined. */
export function machineNumber(uuid: string): number {
  return createHash("sha256").update(uuid.toLowerCase()).digest().readUInt32BE(0) >>> 4;
}

/** The user that a machine's process runs as, and by which the kernel tells its connections. */
export function machineUser(number: number): number {
  return MACHINE_USER_FIRST + number;
}

/** The tap of a machine's NIC, at most 15 characters. */
export function tapName(number: number, nic: number): string {
  return `${TAP_PREFIX}${number.toString(16).padStart(7, "0")}.${nic}`;
}
