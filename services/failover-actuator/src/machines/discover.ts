import { QuorateError } from "@quorate/contracts";
import type { KnownDomain } from "@quorate/host";
import type { MachineRoom } from "./machine-room.ts";

/** What this host's libvirt knows and nobody has taken under care, by name. Throws QuorateError HYPERVISOR_DOWN. */
export async function discover(room: MachineRoom) {
  const [known, seen, kept] = await Promise.all([
    room.hypervisor.definitions(),
    room.hypervisor.inspect(),
    room.wholeInventory(),
  ]);
  const cared = new Set(kept.flatMap(({ record }) => (record.wanted === "undefined" ? [] : record.vm)));
  const domains = known
    .filter(({ name }) => !cared.has(name))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map((domain) => ({
      ...domain,
      state: seen.find(({ name }) => name === domain.name)?.state ?? "off",
      ...meaningOf(room, domain),
    }));
  return { domains };
}

function meaningOf(room: MachineRoom, { name, xml }: KnownDomain) {
  try {
    const { memoryMib, vcpus, disks, obstacles } = room.definitions.read(xml, name);
    const shown = disks.map(({ target, kind, source }) => ({ target, kind, source }));
    return { meaning: { memoryMib, vcpus, disks: shown, obstacles: [...obstacles] }, problem: null };
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { meaning: null, problem: `${error.message} ${error.hint}` };
  }
}
