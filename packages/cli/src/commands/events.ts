import {
  EVENT_DOMAINS,
  type EventDomain,
  type EventEnvelope,
  EventEnvelopeSchema,
  eventDataSchema,
  eventSubject,
} from "@quorate/contracts";
import { openBus } from "../bus-client.ts";
import type { Output } from "../output.ts";
import { locateNode, type Places } from "../snapshot.ts";

/**
 * Prints the events of all nodes as they come, until a signal. What does not have its registered form is shown all
 * the same, marked; with --json, where documents stay as they are, it is named and counted on the error output.
 */
export async function followEvents(
  output: Output,
  places: Places,
  options: { json?: boolean | undefined; domains: readonly EventDomain[] },
): Promise<never> {
  const where = locateNode(places);
  const bus = await openBus(where);
  const domains = options.domains.length === 0 ? EVENT_DOMAINS : options.domains;
  let flawed = 0;
  for (const domain of domains) {
    const subject = eventSubject(where.clusterName, "*", domain, "*");
    bus.subscribe(subject, EventEnvelopeSchema, (event) => {
      if (options.json !== true) {
        output.write(eventLine(event));
        return;
      }
      output.write(`${JSON.stringify(event)}\n`);
      const flaw = flawOf(event);
      if (flaw === null) return;
      flawed += 1;
      output.complain(`quorate: event ${event.id}, ${event.type}: ${flaw} (${flawed} so far)\n`);
    });
  }
  return new Promise(() => undefined);
}

export function eventLine(event: EventEnvelope): string {
  const name = event.type.replace("quorate.v1.", "");
  const flaw = flawOf(event);
  const mark = flaw === null ? "" : ` [${flaw}]`;
  return `${event.time} node ${event.nodeid} ${name}: ${event.data.message} (${event.data.reason})${mark}\n`;
}

/** What keeps an event from having the form that its type is registered with; null when it has it. */
export function flawOf(event: EventEnvelope): string | null {
  const schema = eventDataSchema(event.type);
  if (schema === null) return "unknown to this version";
  const parsed = schema.safeParse(event.data);
  if (parsed.success) return null;
  const [issue] = parsed.error.issues;
  return `not of the registered form: data.${issue?.path.join(".") ?? ""}: ${issue?.message ?? "?"}`;
}
