import {
  EVENT_DOMAINS,
  type EventDomain,
  type EventEnvelope,
  EventEnvelopeSchema,
  eventSubject,
} from "@quorate/contracts";
import { openBus } from "../bus-client.ts";
import type { Output } from "../output.ts";
import { locateNode, type Places } from "../snapshot.ts";

/** Prints the events of all nodes as they come, until a signal. */
export async function followEvents(
  output: Output,
  places: Places,
  options: { json?: boolean | undefined; domains: readonly EventDomain[] },
): Promise<never> {
  const where = locateNode(places);
  const bus = await openBus(where);
  const domains = options.domains.length === 0 ? EVENT_DOMAINS : options.domains;
  for (const domain of domains) {
    const subject = eventSubject(where.clusterName, "*", domain, "*");
    bus.subscribe(subject, EventEnvelopeSchema, (event) => {
      output.write(options.json === true ? `${JSON.stringify(event)}\n` : eventLine(event));
    });
  }
  return new Promise(() => undefined);
}

export function eventLine(event: EventEnvelope): string {
  const name = event.type.replace("quorate.v1.", "");
  return `${event.time} node ${event.nodeid} ${name}: ${event.data.message} (${event.data.reason})\n`;
}
