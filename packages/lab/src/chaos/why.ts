/** Asks `quorate why` after a fault, and holds the cause that it names against what was done. */
import { z } from "zod";
import type { BenchLab } from "../bench/bench-lab.ts";
import type { ChaosSample, Fault } from "./fault.ts";
import type { Injection } from "./injection.ts";

const WhySchema = z.object({
  sentence: z.string(),
  cause: z.object({ kind: z.string(), phrase: z.string() }).nullable(),
});

/** What the asked node's journal says of the moment of the fault. */
export async function askWhy(
  bench: BenchLab,
  fault: Fault,
  injection: Injection,
): Promise<ChaosSample["cause"]> {
  const { expectedCause } = fault;
  if (expectedCause === null) return null;
  const [other = injection.node] = injection.others;
  const asked = injection.askedNode ?? (expectedCause.asked === "struck" ? injection.node : other);
  const moment = new Date(injection.askedMs ?? injection.fromMs).toISOString();
  const { quorate } = bench.lab.record();
  const result = await bench.lab.exec(asked, [...quorate, "why", moment, "--json"]);
  const said = parse(result.stdout);
  const kind = said?.cause?.kind ?? null;
  return {
    asked,
    expected: expectedCause.kind.source,
    kind,
    printed: said?.sentence ?? `${result.stdout}${result.stderr}`.trim().slice(0, 2000),
    isRight: expectedCause.kind.test(`${kind}: ${said?.cause?.phrase ?? ""}`),
  };
}

function parse(text: string): z.infer<typeof WhySchema> | null {
  try {
    return WhySchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
