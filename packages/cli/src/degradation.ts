import { drainLeftMs, type Reason } from "@quorate/contracts";
import { LITTLE_ROOM_BYTES } from "@quorate/runtime";
import type { Snapshot } from "./snapshot.ts";
import type { Status } from "./status.ts";
import { machineProblems } from "./status-machines.ts";
import { lostStorageText } from "./status-storages.ts";

/** What was said longer ago than this is called old: the slowest of them repeats itself every second. */
const OLD_MS = 3000;

/** What `status` shows behind *Degraded*, the worst first. Codes are those of the manual's table. */
export function degradation(snapshot: Snapshot, status: Status): Reason[] {
  const services = [
    ...(snapshot.quorum.value?.problems ?? []),
    ...(snapshot.report.value?.problems ?? []),
    ...(snapshot.distributor.value?.problems ?? []),
    ...(snapshot.peers.value?.problems ?? []),
    ...machineProblems(snapshot.machines),
  ];
  const isSaid = (code: string) => services.some((problem) => problem.code === code);
  const found: Reason[] = [];
  const add = (code: string, message: string, facts?: NonNullable<Reason["facts"]>) =>
    found.push({ code, message, ...(facts === undefined ? {} : { facts }) });
  if (status.amnesic && !isSaid("AMNESIC")) {
    add("amnesic", "This node lost its state: no vote until a master elected without it re-admits it.");
  }
  if (status.role === "suspended") {
    add("suspended", `This node is suspended: ${status.reason?.message ?? "it has no quorum."}`);
  } else if (status.role !== "unknown" && status.leader === null) {
    add("no_master", "Nobody is known to be master.");
  }
  const answers = {
    membership: snapshot.peers,
    "quorum-evaluator": snapshot.quorum,
    "failover-actuator": snapshot.report,
    "config-distributor": snapshot.distributor,
  };
  if (!snapshot.busAnswers)
    add("bus_down", "The local NATS server does not answer; shown is the state folder.");
  else {
    for (const [service, { value, problem, ageMs }] of Object.entries(answers)) {
      const facts = { service };
      if (value === null) add("service_silent", `${service} does not answer: ${problem}`, facts);
      else if (ageMs !== null && ageMs > OLD_MS)
        add("service_old", `${service} last spoke ${ageMs} ms ago.`, facts);
    }
    const { answers: isThere, problem } = snapshot.journal;
    if (!isThere) add("service_silent", `journal does not answer: ${problem}.`, { service: "journal" });
  }
  found.push(...services);
  const { machines } = snapshot;
  if (machines !== null && machines.value === null && snapshot.report.value !== null) {
    add("machines_unknown", `What this host knows of machines cannot be had: ${machines.problem}`);
  }
  for (const lost of status.machines?.lostStorages ?? [])
    add("storage_gone", lostStorageText(lost), { storage: lost.storage });
  for (const { vm, why } of status.machines?.waiting ?? []) add("machine_waits", why, { vm });
  for (const node of status.nodes) {
    if (node.isLocal || node.state === "joined" || node.state === "unknown") continue;
    const why = status.peers.find(({ id }) => id === node.id)?.reason ?? null;
    const is = `Node ${node.id} (${node.address}) is ${node.state}`;
    add("peer_away", why === null ? `${is}.` : `${is}: ${why}`, { node: node.id });
  }
  found.push(...linksDown(snapshot, status));
  const isDisarmed =
    status.disarmedUntil !== null && Date.parse(status.disarmedUntil) > snapshot.wallClock.getTime();
  if (isDisarmed && !isSaid("DISARMED")) {
    add("disarmed", `Automation is off until ${status.disarmedUntil}; end it with: quorate arm`);
  }
  for (const node of snapshot.config?.nodes ?? []) {
    if (drainLeftMs(node, snapshot.wallClock.getTime()) === 0) continue;
    const end = `quorate node undrain ${node.id}`;
    add(
      "drained",
      `Node ${node.id} is drained until ${node.maintenanceUntil}: it takes no machines; end it with: ${end}`,
      {
        node: node.id,
      },
    );
  }
  const { stateRoomBytes, stateDir } = snapshot;
  if (stateRoomBytes !== null && stateRoomBytes < LITTLE_ROOM_BYTES && !isSaid("DISK_FULL")) {
    const left = `${Math.floor(stateRoomBytes / 1024)} KB`;
    const message = `The file system of ${stateDir} has ${left} left: the next vote, document or log line may find no room.`;
    add("DISK_FULL", message, { remedy: `Make room: df -h ${stateDir}` });
  }
  if (snapshot.journal.answers && snapshot.journal.problem !== null) {
    add(
      "journal_not_written",
      `The disk does not take the journal (${snapshot.journal.problem}); what is decided waits in memory.`,
      { remedy: `Make room, or repair the disk: df -h ${stateDir}; dmesg` },
    );
  }
  for (const { path, code, message } of snapshot.refusedFiles) {
    const remedy = `The node goes on without it. Look at the disk (dmesg, smartctl); then remove the copy: rm ${path}`;
    add("STATE_REFUSED", `A state file was refused: ${message}`, { path, why: code, remedy });
  }
  found.push(...crashes(snapshot));
  if (status.configuration.note !== null) add("file_differs", status.configuration.note);
  for (const entry of snapshot.config?.notHonoured ?? []) {
    add("not_honoured", entry.message, { key: entry.key, line: entry.line });
  }
  return withoutRepetitions(found);
}

/** One line for each service, however often it ended: the first recording is the likeliest to have the cause. */
function crashes({ crashes: recordings }: Snapshot): Reason[] {
  const services = [...new Set(recordings.map(({ service }) => service))].sort();
  return services.flatMap((service) => {
    const of = recordings.filter((recording) => recording.service === service);
    const [first] = of;
    if (first === undefined) return [];
    const { path, atMs } = first;
    const more = of.length === 1 ? "" : ` (${of.length} recordings, the oldest first)`;
    const message = `${service} ended by an error of its own at ${new Date(atMs).toISOString()}; what it was given is kept: ${path}${more}.`;
    const remedy = `See it happen: quorate replay ${path}. Report it with the file; then: rm ${of.map((one) => one.path).join(" ")}`;
    return [{ code: "crash_recorded", message, facts: { service, path, remedy } }];
  });
}

/** Links that do not carry both ways, of peers that another ring keeps joined: the next fault is an outage. */
function linksDown(snapshot: Snapshot, status: Status): Reason[] {
  return status.peers
    .filter(({ state }) => state === "joined")
    .flatMap(({ id, links }) => {
      const addresses = snapshot.config?.nodes.find((node) => node.id === id)?.addresses;
      const up = links.filter(({ hears, heard }) => hears && heard).map(({ ring }) => ring);
      const rest =
        up.length === 0
          ? "no ring carries both ways"
          : `ring ${up.join(" and ")} ${up.length === 1 ? "carries" : "carry"} on`;
      return links
        .filter(({ hears, heard }) => !hears || !heard)
        .map(({ ring, hears }) => ({
          code: "link_down",
          message: `Ring ${ring} to node ${id} (${addresses?.[ring] ?? "?"}) is down (${hears ? "not answered" : "not heard"}); ${rest}.`,
          facts: { node: id, ring },
        }));
    });
}

/** Two services may say the same of one thing: the one with facts, which knows the remedy, counts. */
function withoutRepetitions(found: readonly Reason[]): Reason[] {
  const kept: Reason[] = [];
  for (const entry of found) {
    const index = kept.findIndex(({ code, message }) => code === entry.code && message === entry.message);
    const known = kept[index];
    if (known === undefined) kept.push(entry);
    else if (known.facts === undefined) kept[index] = entry;
  }
  return kept;
}
