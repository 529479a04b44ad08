/** The lab as text, for people who watch it. */
import type { CaredMachine } from "./guest/care.ts";
import { DEFINITION_FOLDER } from "./guest/guests.ts";
import type { Lab } from "./lab.ts";
import type { Observation, Observer } from "./observer.ts";

/** Hosts, cables and who answers, one screen without escape codes. */
export function labText(lab: Lab, observer: Observer | null): string {
  const status = lab.status();
  const last = observer?.last ?? null;
  const fresh = last !== null && Date.now() - last.atMs < 1000 ? last.host : null;
  const serving = observer?.lastHttp ?? null;
  const lines = [
    `Lab ${status.name}: token ${status.tokenMs} ms, cluster address ${status.vips.join(" and ")}`,
  ];
  lines.push("  host       address          power   link         processes");
  for (const host of status.hosts) {
    const port = host.ports[0];
    const power = host.power === "off" ? "off" : host.frozen ? "frozen" : "on";
    const names = Object.keys(host.services).join(" ");
    const guests = host.guests.length === 0 ? "" : ` | ${host.guests.join(" ")}`;
    const answers = fresh === host.id ? "  <- answers" : "";
    const line = [
      host.name.padEnd(10),
      (port?.address ?? "").padEnd(16),
      power.padEnd(7),
      linkText(host.ports),
    ];
    lines.push(`  ${line.join(" ")} ${names}${guests}${answers}`);
  }
  if (status.guests.length > 0) {
    const places = status.guests.map(({ name, address }) => `${name} ${address}`).join(", ");
    lines.push(`  Virtual machines: ${places}; definitions in each host's ${DEFINITION_FOLDER}`);
  }
  if (observer !== null) {
    const served = serving !== null && Date.now() - serving.atMs < 1000;
    lines.push(
      served ? `  The service answers from node-${serving.host}.` : "  The service does not answer.",
    );
  }
  return `${lines.join("\n")}\n`;
}

/** A line for each guest, as the product says. */
export function guestLines(machines: readonly CaredMachine[] | null): string {
  if (machines === null) return "  No master is known who would say where the virtual machines are.\n";
  const lines = machines.map(({ vm, node, state, movingTo, blocked }) => {
    const where = node === null ? "-" : `node-${node}`;
    const doing = movingTo === null ? state : `moving to node-${movingTo}`;
    return `  ${vm.padEnd(10)} ${where.padEnd(8)} ${doing}${blocked === null ? "" : ` (${blocked})`}\n`;
  });
  return lines.join("");
}

function linkText(ports: readonly { link: string }[]): string {
  return ports
    .map((port) => port.link)
    .join(",")
    .padEnd(12);
}

/** One line of figures for the time since `observation` began. */
export function observationText(observation: Observation): string {
  const report = observation.report();
  const { icmp, tcp, arp, http } = report.silence;
  const ms = (value: number) => value.toFixed(0).padStart(5);
  const holders = [...new Set(report.holders.map((holder) => `node-${holder.host}`))].join(" ");
  return (
    `silence ms: icmp ${ms(icmp.longestMs)} tcp ${ms(tcp.longestMs)} arp ${ms(arp.longestMs)} ` +
    `service ${ms(http.longestMs)} | two holders ${report.dualMs} ms | late ${report.latenessMs.toFixed(1)} ms | ${holders}`
  );
}
