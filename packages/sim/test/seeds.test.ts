import { describe, expect, test } from "vitest";
import { GENERATORS, runSeed, runText, shrink } from "../src/index.ts";

const FRESH_LIMIT_MS = 6_000;

async function mustHold(options: Parameters<typeof runSeed>[0]): Promise<void> {
  const result = await runSeed(options);
  if (result.violations.length === 0) return;
  const shortest = await shrink(options, result, { runsMax: 40 });
  expect.fail(`${JSON.stringify(options)} breaks; the shortest found:\n${runText(shortest, false)}`);
}

describe("the whole cluster under faults", () => {
  // Each generator once, so that none of them rots; CI's fixed set is larger (`quorate sim`).
  for (const [index, { name }] of GENERATORS.entries()) {
    test(`seed ${index + 1}, ${name}: no invariant breaks, and all comes back`, () =>
      mustHold({ seed: index + 1, generator: name, faultUs: 12_000_000, healUs: 10_000_000 }));
  }

  for (const nodes of [4, 5, 7]) {
    test(`${nodes} nodes: no invariant breaks`, () =>
      mustHold({ seed: nodes, nodes, generator: "mixed", faultUs: 8_000_000, healUs: 10_000_000 }));
  }

  test("seeds that nobody has seen before", async () => {
    const startedMs = performance.now();
    const from = Math.floor(Math.random() * 2 ** 30);
    let seed = from;
    for (; performance.now() - startedMs < FRESH_LIMIT_MS; seed += 1) await mustHold({ seed });
    process.stdout.write(`fresh seeds ${from} to ${seed - 1}\n`);
  });
});
