import { QuorateError, REQUESTS, type ServiceName } from "@quorate/contracts";
import type { z } from "zod";

type Requests = typeof REQUESTS;
export type Verb<Service extends ServiceName> = keyof Requests[Service] & string;
type Form<Service extends ServiceName, Name extends Verb<Service>> = Requests[Service][Name] extends {
  request: infer Request extends z.ZodType;
  answer: infer Answer extends z.ZodType;
}
  ? { request: z.output<Request>; answer: z.output<Answer> }
  : never;
export type RequestBody<Service extends ServiceName, Name extends Verb<Service>> = Form<
  Service,
  Name
>["request"];
/** The answer of success; failures are thrown as QuorateError. */
export type Answer<Service extends ServiceName, Name extends Verb<Service>> = Extract<
  Form<Service, Name>["answer"],
  { ok: true }
>;

export interface FailureBody {
  code: ConstructorParameters<typeof QuorateError>[0];
  message: string;
  hint: string;
}

export function formOf(service: ServiceName, verb: string): { request: z.ZodType; answer: z.ZodType } {
  const forms: Record<string, { request: z.ZodType; answer: z.ZodType }> = REQUESTS[service];
  const form = forms[verb];
  if (form === undefined) throw new Error(`no such request: ${service} ${verb}`);
  return form;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Undefined for anything that is not JSON in UTF-8. */
export function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}

export function requestFailure(who: string, verb: string, timeoutMs: number, error: unknown): QuorateError {
  const text = error instanceof Error ? `${error.name} ${error.message}` : String(error);
  if (/no responders/i.test(text)) {
    return new QuorateError(
      "BUS_UNREACHABLE",
      `Nobody answers as ${who}: it is down, or the bus does not reach that node yet.`,
      "The bus heals within a few seconds after a network fault; see `quorate status` on that node.",
      { cause: error },
    );
  }
  if (/timeout/i.test(text)) {
    return new QuorateError(
      "REQUEST_TIMEOUT",
      `${who} did not answer ${verb} within ${timeoutMs} ms.`,
      "Whether it acted is unknown: look with `quorate status`, then ask again.",
      { cause: error },
    );
  }
  if (/max_payload/i.test(text)) {
    return new QuorateError(
      "MESSAGE_INVALID",
      `The request ${verb} to ${who} is too large for the bus, and was not sent.`,
      "A message has 8 MiB at the most.",
      { cause: error },
    );
  }
  return new QuorateError(
    "BUS_UNREACHABLE",
    `Asking ${who} failed: ${text}.`,
    "Look at log/nats-server.log in the state directory.",
    { cause: error },
  );
}
