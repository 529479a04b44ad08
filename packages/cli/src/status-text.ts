import { nodeList } from "./layouts.ts";
import type { Status } from "./status.ts";
import { machineRows } from "./status-machines.ts";

/** Marks words; without colour it leaves them as they are. */
export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
}

export const PLAIN: Paint = { good: (text) => text, bad: (text) => text, faint: (text) => text };

/** An age or a duration as people say it. */
export function duration(ms: number | null): string {
  if (ms === null) return "unknown";
  if (ms < 10_000) return `${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** `quorate status`: one sentence that says all, then the parts. */
export function statusText(status: Status, paint: Paint = PLAIN): string {
  const lines = [
    status.degraded.length === 0 ? paint.good(status.summary) : paint.bad(status.summary),
    "",
    nodeList(status.cluster, status.nodes),
  ];
  const part = (name: string, ...texts: string[]) => {
    texts.forEach((text, index) => lines.push(`${(index === 0 ? name : "").padEnd(15)}${text}`));
  };
  const { leases, configuration, clusterIp, ages } = status;
  const view = status.view === null ? "unknown" : `${status.view.term}.${status.view.number}`;
  part(
    "This node",
    `${status.node.id}, ${status.role}${status.out ? ", out of the view" : ""}; view ${view}`,
  );
  if (status.votes !== null) {
    const { present, total, quorum } = status.votes;
    part("Votes", `${present} of ${total} present, ${quorum} needed; quorate: ${status.quorate}`);
  }
  const lease = (ms: number | null) => (ms === null ? "none" : ms <= 0 ? "over" : `${duration(ms)} left`);
  const promise = leases.promise;
  part(
    "Leases",
    `master ${lease(leases.masterMs)}, node ${lease(leases.nodeMs)}` +
      (promise === null ? "" : `; promised to node ${promise.to} for ${duration(promise.forMs)}`),
  );
  for (const fence of status.fences) {
    part("Fencing", `node ${fence.node}: ${fence.verdict === "yes" ? "fenced" : "not sure yet"}`);
  }
  for (const { node, removals, waitMs, forMs } of status.quarantines) {
    const times = removals > 1 ? `, removed ${removals} times lately` : "";
    const when = forMs === null ? "counted from when it is joined" : `for ${duration(forMs)} more`;
    part("Quarantine", `node ${node}: joined for ${duration(waitMs)} before it may return${times}; ${when}`);
  }
  part(
    "Configuration",
    configuration.version === null
      ? "unknown"
      : `version ${configuration.version} (term ${configuration.term}), ` +
          `${configuration.committed ? "committed" : "not known to be committed"}, ` +
          `digest ${configuration.digest?.slice(0, 12)}`,
  );
  part(
    "Cluster IP",
    ...(clusterIp.addresses.length === 0
      ? ["none configured"]
      : clusterIp.addresses.map(
          ({ address, prefixLength, device }) => `${address}/${prefixLength} on ${device}`,
        )),
    `here: ${clusterIp.state}, gate ${clusterIp.gate}`,
  );
  const ports = status.service.ports.length === 0 ? "" : ` (port ${status.service.ports.join(", ")})`;
  part("Service", `${status.service.state} here${ports}`);
  if (status.machines !== null) part("Machines", ...machineRows(status.machines));
  if (status.reason !== null) part("Why", status.reason.message);
  part(
    "Degraded",
    ...(status.degraded.length === 0 ? ["nothing"] : status.degraded.map(({ message }) => message)),
  );
  part(
    "Guarantees",
    ...(status.guarantees.length === 0
      ? ["unknown: the failover-actuator has not said"]
      : status.guarantees.map(({ name, inForce, detail }) => {
          const word = inForce ? paint.good("in force") : paint.bad("NOT in force");
          return `${name}: ${word}${detail === "" ? "" : ` (${detail})`}`;
        })),
  );
  const age = (name: string, ms: number | null) => `${name} ${ms === null ? "silent" : duration(ms)}`;
  const parts = [
    age("quorum", ages.quorum),
    age("peers", ages.peers),
    age("report", ages.report),
    age("configuration", ages.configuration),
  ];
  if (ages.evaluatorFile !== null) parts.push(age("state file", ages.evaluatorFile));
  lines.push(paint.faint(`${"Age of this".padEnd(15)}${parts.join(", ")}`), "");
  return lines.join("\n");
}
