/** `quorate why` and `quorate log` on real hosts: what was done is what they say. */
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { DEFAULT_TOPOLOGY } from "../src/index.ts";
import { waitUntil } from "../src/processes.ts";
import { LIMIT_MS, ProductLab } from "./product-lab.ts";

const TEST_LIMIT_MS = 240_000;

const WhySchema = z.object({
  sentence: z.string().min(1),
  cause: z.object({ kind: z.string(), phrase: z.string() }).nullable(),
  decision: z.object({ code: z.string(), service: z.string(), wallMs: z.int() }),
  rule: z.string().nullable(),
  before: z.array(z.object({ message: z.string() })),
});
type Why = z.infer<typeof WhySchema>;

let product: ProductLab;

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    process.stderr.write(`${product.logTails()}\n`);
  });
});

/** Waits until the node explains something that fits. */
async function whyOf(id: number, about: string[], wanted: (why: Why) => boolean): Promise<Why> {
  let last: Why | null = null;
  let said = "";
  const came = await waitUntil(
    async () => {
      const result = await product.quorate(id, "why", ...about, "--json");
      said = result.stdout + result.stderr;
      if (result.code !== 0) return false;
      last = WhySchema.parse(JSON.parse(result.stdout));
      return wanted(last);
    },
    LIMIT_MS,
    500,
  );
  if (!came || last === null) throw new Error(`node ${id} does not say so, but: ${toldBy(last)}\n${said}`);
  return last;
}

/** In one line: a summary shows no more of an error. */
function toldBy(why: Why | null): string {
  return why === null
    ? "nothing"
    : `${why.sentence} (${why.decision.code}, cause ${why.cause?.kind ?? "none"})`;
}

const pidOf = async (id: number, name: string) =>
  (await product.shell(id, `cut -d' ' -f1 /run/quorate/pids/${name}.pid`)).trim();

describe("why, on real hosts", { timeout: TEST_LIMIT_MS }, () => {
  beforeAll(async () => {
    product = await ProductLab.up("why", DEFAULT_TOPOLOGY);
    return () => product.down();
  }, TEST_LIMIT_MS);

  it("names the process that was killed, and the signal; the journal's own death costs nothing", async () => {
    const { master } = await product.whole();
    await product.shell(master, `kill -9 ${await pidOf(master, "journal")}`);
    await product.shell(master, `kill -9 ${await pidOf(master, "quorum-evaluator")}`);
    const why = await whyOf(master, [], ({ cause }) => cause?.kind === "process-killed");
    expect(why.sentence).toContain("quorum-evaluator");
    expect(why.sentence).toContain("killed by SIGKILL");
    const log = await product.quorate(master, "log", "--level", "detail", "-n", "1000");
    expect(log.code).toBe(0);
    // What was decided while the journal was away is there too.
    for (const words of ["journal (pid", "quorum-evaluator (pid", "Master of term"]) {
      expect(log.stdout).toContain(words);
    }
    expect(log.stdout).not.toContain("DECISIONS_LOST");
  });

  it("tells a cut cable from a silent host: the victim knows, the others say that they cannot", async () => {
    const before = await product.whole();
    const [other = 0] = before.slaves;
    await product.lab.cut(before.master);
    onTestFinished(() => product.lab.heal());
    const seen = await whyOf(
      other,
      [],
      ({ decision, cause }) =>
        ["MASTER", "MASTER_KNOWN"].includes(decision.code) && cause?.kind === "peer-silent",
    );
    expect(seen.sentence).toMatch(
      new RegExp(`because node ${before.master} fell silent: last heard .* on ring 0`),
    );
    expect(seen.sentence).toContain("both look alike");
    expect(seen.rule).toContain("INV-2");
    const own = await whyOf(before.master, [], ({ cause }) => cause?.kind === "no-carrier");
    expect(own.sentence).toMatch(/lost the mastership|gave the mastership/);
    const about = await whyOf(other, [`node:${before.master}`], ({ cause }) => cause !== null);
    expect(about.sentence).toContain(`node ${before.master}`);
    await product.lab.heal();
    // Being back does not hide why it was away.
    await product.whole();
    const later = await whyOf(before.master, [], ({ cause }) => cause?.kind === "no-carrier");
    expect(later.sentence).toBe(own.sentence);
  });

  it("names what others did to the kernel", async () => {
    const { master } = await product.whole();
    await product.shell(master, "nft flush ruleset");
    const why = await whyOf(master, [], ({ cause }) => cause?.kind === "ruleset-flushed");
    expect(why.sentence).toContain("table ip quorate is missing");
  });

  it("works while everything of ours is stopped, and says how old it is", async () => {
    const { slaves } = await product.whole();
    const [id = 0] = slaves;
    const supervisor = await pidOf(id, "supervisor");
    await product.shell(id, `kill -STOP ${supervisor}`);
    for (const name of ["journal", "nats-server", "quorum-evaluator", "membership"]) {
      await product.shell(id, `kill -9 ${await pidOf(id, name)}`);
    }
    const result = await product.quorate(id, "why");
    expect(result.code).toBe(0);
    expect(result.stdout).toContain("the journal service does not run");
    await product.shell(id, `kill -CONT ${supervisor}`);
    const why = await whyOf(id, [], ({ cause }) => cause?.kind === "process-killed");
    expect(why.sentence).toContain("quorum-evaluator");
  });
});
