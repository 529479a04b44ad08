import { PRIO_MAXIMUM, QuorateError } from "@quorate/contracts";
import { z } from "zod";
import { PROCESS_NAMES } from "../schedule.ts";
import { closestNames } from "./closest.ts";
import { lineOfPath } from "./json-place.ts";

const UNITS_US = { us: 1, ms: 1000, s: 1_000_000, min: 60_000_000 } as const;

/** "1.5s", "200ms", "2min": microseconds. */
const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(us|ms|s|min)$/, 'is no duration; write a number and its unit: "1.5s", "200ms", "2min"')
  .transform((text) => {
    const [, count, unit] = /^([\d.]+)(us|ms|s|min)$/.exec(text) ?? [];
    return Math.round(Number(count) * UNITS_US[unit as keyof typeof UNITS_US]);
  });

const node = z.union([z.int().positive(), z.enum(["master", "slave"])], {
  error: 'is no node; write its id, "master" (who answers for the address) or "slave" (the lowest other)',
});
const listed = z.int().positive();
const process = z.enum(PROCESS_NAMES);
const rate = z.number().gt(0).lt(1);
const vm = z.string().regex(/^vm[1-9]\d*$/, 'is no machine; they are named "vm1", "vm2", … up to "machines"');
const lasting = { for: duration };

/** When a step is done: at an instant, or as soon as some node says something. */
const when = {
  at: duration.optional(),
  /** A reason's code. Counts from the step before on. */
  after: z.string().optional(),
  /** Only when this node says it. */
  by: listed.optional(),
  /** How much later than that. */
  later: duration.optional(),
};

const deed = <Name extends string, Shape extends z.ZodRawShape>(name: Name, shape: Shape) =>
  z.strictObject({ ...when, do: z.literal(name), ...shape });

const stepSchema = z.discriminatedUnion(
  "do",
  [
    deed("power-cut", { node: z.union([node, z.literal("all")]), ...lasting }),
    deed("crash", { node, process: z.union([process, z.literal("all")]), ...lasting }),
    deed("pause", { node, process: z.union([process, z.literal("all")]), ...lasting }),
    deed("slow", { node, process: z.union([process, z.literal("all")]), each: duration, ...lasting }),
    deed("trap", {
      node,
      process,
      side: z.enum(["before", "after"]),
      effect: z.string(),
      strike: z.enum(["crash", "pause"]),
      ...lasting,
    }),
    deed("suspend-host", { node, ...lasting }),
    deed("cut", {
      node,
      direction: z.enum(["both", "in", "out"]).default("both"),
      peers: z.array(node).min(1).optional(),
      rings: z.array(z.int().min(0)).min(1).optional(),
      ...lasting,
    }),
    deed("partition", { side: z.array(node).min(1), ...lasting }),
    deed("switch-down", lasting),
    deed("loss", { node: node.optional(), rate, ...lasting }),
    deed("network-delay", { node: node.optional(), upTo: duration, ...lasting }),
    deed("replay", { node, count: z.int().positive() }),
    deed("routes-down", { node, ...lasting }),
    deed("bus-loss", { node, ...lasting }),
    deed("bus-slow", { node, upTo: duration, ...lasting }),
    deed("disk-full", { node, ...lasting }),
    deed("lose-state", { node, what: z.enum(["evaluator", "register", "incarnation"]), ...lasting }),
    deed("kernel-slow", { node, upTo: duration, ...lasting }),
    deed("flush-ruleset", { node }),
    deed("remove-address", { node }),
    deed("foreign-claim", lasting),
    deed("no-carrier", { node, ...lasting }),
    deed("vm-move", { vm, node }),
    deed("vm-end", { vm }),
    deed("storage-gone", { node: z.union([node, z.literal("all")]), ...lasting }),
    deed("service-crash", { node }),
    deed("service-broken", { node, ...lasting }),
    deed("wall-step", { node, bySeconds: z.int() }),
    deed("move", { node }),
    deed("drain", { node, ...lasting }),
    deed("set-prio", { node, prio: z.int().min(0).max(PRIO_MAXIMUM) }),
    deed("set-votes", { node, votes: z.int().min(0).max(100) }),
    deed("set-token", { token: duration }),
    deed("disarm", {}),
    deed("arm", {}),
    deed("add-node", { node: listed, prio: z.int().min(0).max(PRIO_MAXIMUM) }),
    deed("remove-node", { node }),
  ],
  {
    error: (issue) => {
      if (issue.code !== "invalid_union") return undefined;
      const asked = (issue.input as { do?: unknown } | null)?.do;
      const close = typeof asked === "string" ? closestNames(asked, STEP_NAMES) : [];
      const meant = close.length > 0 ? `; did you mean ${close.join(" or ")}?` : "";
      return `"do" says ${JSON.stringify(asked) ?? "nothing"}, which is no step${meant} There are: ${STEP_NAMES.join(", ")}`;
    },
  },
);

export const STEP_NAMES: readonly string[] = stepSchema.options
  .map((option) => option.shape.do.value)
  .toSorted();

const scriptSchema = z.strictObject({
  /** Of clocks' rates, delays and everything else that is drawn. */
  seed: z.int().min(0),
  description: z.string().min(1),
  /** Virtual machines on shared storage, vm1 to vmN, dealt out to the nodes in turn. */
  machines: z.int().min(0).max(20).default(0),
  /** What goes wrong all the time: fractions of messages. */
  noise: z
    .strictObject({ loss: rate, duplicate: rate, late: rate, replay: rate, busLate: rate })
    .partial()
    .default({}),
  /** Codes that the log leaves out as a rule and that are the point here. */
  show: z.array(z.string()).default([]),
  steps: z
    .array(
      stepSchema.refine((step) => (step.at === undefined) !== (step.after === undefined), {
        error: 'wants either "at" (an instant) or "after" (a code)',
      }),
    )
    .min(1),
  /** This one is outside of what is assumed: the invariant that a known hole breaks (docs/manual/safety.md). */
  hole: z.enum(["INV-1", "INV-2", "INV-3"]).optional(),
  /** The end of the log. What is still broken then is mended, and the cluster has to settle. */
  until: duration,
});

export type Script = z.infer<typeof scriptSchema>;
export type ScriptStep = Script["steps"][number];

/** Reads a script. Throws QuorateError SCENARIO_INVALID that names every fault with its line and path. */
export function readScript(text: string, file: string): Script {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const position = Number(/at position (\d+)/.exec(message)?.[1] ?? text.length);
    const line = text.slice(0, position).split("\n").length;
    throw new QuorateError("SCENARIO_INVALID", `${file}:${line}: ${message}`, "Mend the JSON there.");
  }
  const read = scriptSchema.safeParse(raw);
  if (!read.success) {
    const faults = read.error.issues.map(({ path, message }) => {
      const where = path
        .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
        .join("");
      return `${file}:${lineOfPath(text, path)}: ${where.replace(/^\./, "") || "the script"}: ${message}`;
    });
    throw new QuorateError(
      "SCENARIO_INVALID",
      faults.join("\n"),
      "Mend these places; packages/sim/scenarios/README.md lists steps and their fields.",
    );
  }
  checkOrder(read.data, text, file);
  return read.data;
}

/** A step after the end would be a promise that nobody keeps. */
function checkOrder(script: Script, text: string, file: string): void {
  for (const [index, step] of script.steps.entries()) {
    if (step.at === undefined || step.at < script.until) continue;
    throw new QuorateError(
      "SCENARIO_INVALID",
      `${file}:${lineOfPath(text, ["steps", index, "at"])}: steps[${index}].at: is not before "until"`,
      'Let "until" be later, or the step earlier.',
    );
  }
}
