import { QuorateError } from "@quorate/contracts";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConfDocument } from "../src/index.ts";
import {
  parseDocument,
  printDocument,
  readClusterConfig,
  setConfigVersion,
  setDisarmedUntil,
  setMaintenanceUntil,
  setNodePrio,
  setValue,
  swapPrioWithHighest,
} from "../src/index.ts";
import { generatedText } from "./arbitrary-text.ts";
import { corpus } from "./corpus.ts";

function document(text: string): ConfDocument {
  const parsed = parseDocument(text, "f");
  if (!parsed.ok) throw new Error("broken syntax");
  return parsed.document;
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof QuorateError) return error.code;
    throw error;
  }
  return "done";
}

const ORIGINAL = corpus().find(({ name }) => name === "vmmanager-original.conf")?.text ?? "";

describe("setting a key", () => {
  test("changes the value and nothing else", () => {
    const text = "# top\ntotem {\n\tconfig_version  :\t 1  \n\ttoken: 5 # no comment\n}\n# end";
    expect(printDocument(setConfigVersion(document(text), 20))).toBe(
      "# top\ntotem {\n\tconfig_version  :\t 20  \n\ttoken: 5 # no comment\n}\n# end",
    );
  });

  test("wherever it is repeated, so that the copies don't come to differ", () => {
    const text = "totem {\nconfig_version: 1\n}\ntotem {\nconfig_version: 1\n}\n";
    expect(printDocument(setConfigVersion(document(text), 2))).toBe(text.replaceAll("1", "2"));
  });

  test("fills an empty value", () => {
    expect(printDocument(setValue(document("a {\n b:  \n c :\n}\n"), ["a", "b"], "x y"))).toBe(
      "a {\n b: x y  \n c :\n}\n",
    );
    expect(printDocument(setValue(document("a {\n c :\n}\n"), ["a", "c"], "x"))).toBe("a {\n c : x\n}\n");
  });

  test("adds it behind the last key, indented and spaced as its neighbours", () => {
    const text = "totem {\n    interface {\n        ttl:1\n    }\n    token:5\n    # kept\n}\n";
    expect(printDocument(setConfigVersion(document(text), 2))).toBe(
      "totem {\n    interface {\n        ttl:1\n    }\n    token:5\n    config_version:2\n    # kept\n}\n",
    );
  });

  test("doesn't copy the blanks of a column", () => {
    const text = "a {\n  one:      1\n  eleven:   2\n}\n";
    expect(printDocument(setValue(document(text), ["a", "c"], "3"))).toContain("  c: 3\n");
  });

  test("adds it to a section without keys in the file's own indentation", () => {
    const text = "totem {\r\n   interface {\r\n      ttl: 1\r\n   }\r\n}\r\n";
    expect(printDocument(setConfigVersion(document(text), 2))).toBe(
      "totem {\r\n   config_version: 2\r\n   interface {\r\n      ttl: 1\r\n   }\r\n}\r\n",
    );
  });

  test("adds missing sections, one in the other, with the file's line ending", () => {
    expect(printDocument(setValue(document("a {\r\n  b: c\r\n}\r\n"), ["d", "e", "f"], "g"))).toBe(
      "a {\r\n  b: c\r\n}\r\nd {\r\n  e {\r\n    f: g\r\n  }\r\n}\r\n",
    );
    expect(printDocument(setValue(document("a {\n\tb: c\n}\n"), ["a", "d", "e"], "f"))).toBe(
      "a {\n\tb: c\n\td {\n\t\te: f\n\t}\n}\n",
    );
    expect(printDocument(setConfigVersion(document(""), 1))).toBe("totem {\n\tconfig_version: 1\n}\n");
    expect(printDocument(setConfigVersion(document("\uFEFF"), 1))).toBe(
      "\uFEFFtotem {\n\tconfig_version: 1\n}\n",
    );
  });

  test("leaves a file without a final newline without one", () => {
    expect(printDocument(setConfigVersion(document("a {\n b: c\n}"), 1))).toBe(
      "a {\n b: c\n}\ntotem {\n config_version: 1\n}",
    );
  });

  test("finds one of several sections by its index or by a key inside it", () => {
    const text = "node {\n id: 1\n}\nnode {\n id: 2\n}\n";
    expect(printDocument(setValue(document(text), [{ section: "node", index: 1 }, "x"], "y"))).toBe(
      "node {\n id: 1\n}\nnode {\n id: 2\n x: y\n}\n",
    );
    expect(
      printDocument(setValue(document(text), [{ section: "node", key: "id", value: "1" }, "x"], "y")),
    ).toBe("node {\n id: 1\n x: y\n}\nnode {\n id: 2\n}\n");
    expect(codeOf(() => setValue(document(text), [{ section: "node", index: 2 }, "x"], "y"))).toBe(
      "CONFIG_INVALID",
    );
  });

  test.each(["", " a", "a ", "a\nb", "a\r", "a{", "\u0000", "a\u007f"])("refuses the value %j", (value) => {
    expect(codeOf(() => setValue(document("a: b\n"), ["a"], value))).toBe("CONFIG_INVALID");
  });

  test.each(["", "a b", "a:", "}", "#", "\u044f"])("refuses the key %j", (key) => {
    expect(codeOf(() => setValue(document("a: b\n"), [key], "c"))).toBe("CONFIG_INVALID");
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53])("refuses the version %d", (version) => {
    expect(codeOf(() => setConfigVersion(document(ORIGINAL), version))).toBe("CONFIG_INVALID");
  });
});

test("an edit is seen by the next reader, and no other line changes", () => {
  const value = fc
    .string({ unit: fc.constantFrom(...Array.from("abc:#} 1\u044f")), minLength: 1 })
    .filter((text) => text.trim() === text);
  fc.assert(
    fc.property(generatedText, value, fc.nat(), (generated, newValue, choice) => {
      const before = document(generated.text);
      const keys = before.root.entries.filter((entry) => entry.kind === "key");
      const chosen = keys[choice % Math.max(1, keys.length)];
      const key = chosen?.kind === "key" ? chosen.key : "added";
      const after = setValue(before, [key], newValue);
      const linesBefore = generated.text.split("\n");
      const linesAfter = printDocument(after).split("\n");
      const found = after.root.entries.filter((entry) => entry.kind === "key" && entry.key === key);
      expect(found.length).toBeGreaterThan(0);
      for (const entry of found) expect(entry).toMatchObject({ value: newValue });
      if (chosen === undefined) {
        expect(printDocument(after)).toContain(`added: ${newValue}`);
        expect(printDocument(after).startsWith(generated.text)).toBe(true);
        return;
      }
      const touched = new Set(found.map(({ line }) => line - 1));
      expect(linesAfter.filter((_, index) => !touched.has(index))).toEqual(
        linesBefore.filter((_, index) => !touched.has(index)),
      );
    }),
    { numRuns: 500 },
  );
});

test("disarming and arming again gives back the very bytes", () => {
  const check = (text: string): void => {
    const before = document(text);
    const disarmed = setDisarmedUntil(before, "2030-01-01T00:00:00Z");
    expect(printDocument(disarmed)).toContain("disarmed_until: 2030-01-01T00:00:00Z");
    expect(printDocument(setDisarmedUntil(disarmed, null))).toBe(text);
  };
  for (const { text } of corpus())
    if (parseDocument(text, "f").ok && !text.includes("automation")) check(text);
  fc.assert(
    fc.property(generatedText, ({ text }) => check(text)),
    { numRuns: 300 },
  );
});

test("arming keeps what else stands in the section", () => {
  const text = "automation {\n\t# why\n\tdisarmed_until: 2030-01-01T00:00:00Z\n}\n";
  expect(printDocument(setDisarmedUntil(document(text), null))).toBe("automation {\n\t# why\n}\n");
  expect(printDocument(setDisarmedUntil(document(ORIGINAL), null))).toBe(ORIGINAL);
});

test("maintenance of one node and its end give back the very bytes, and a node is drained by its own line", () => {
  const until = "2030-01-01T00:00:00Z";
  const drained = setMaintenanceUntil(document(ORIGINAL), 4, until);
  const read = readClusterConfig(printDocument(drained), "f");
  expect(read.ok && read.config.nodes.map(({ maintenanceUntil }) => maintenanceUntil)).toEqual([
    undefined,
    "2030-01-01T00:00:00.000Z",
    undefined,
  ]);
  expect(printDocument(setMaintenanceUntil(drained, 4, null))).toBe(ORIGINAL);
  expect(printDocument(setMaintenanceUntil(drained, 2, null))).toBe(printDocument(drained));
  expect(codeOf(() => setMaintenanceUntil(drained, 99, until))).toBe("NODE_UNKNOWN");
});

describe("prios", () => {
  const base = (prios: readonly (number | undefined)[]): string =>
    `nodelist {\n${prios.map((prio, index) => `\tnode {\n\t\tnodeid: ${index + 1}\n\t\tring0_addr: 10.0.0.${index + 1}\n${prio === undefined ? "" : `\t\tprio: ${prio}\n`}\t}\n`).join("")}}\n`;
  const priosOf = (conf: ConfDocument): number[] => {
    const read = readClusterConfig(printDocument(conf), "f");
    if (!read.ok) throw new Error("refused");
    return read.config.nodes.map((node) => node.prio);
  };

  test("a new master swaps with the highest, in the original's file", () => {
    const after = swapPrioWithHighest(setConfigVersion(document(ORIGINAL), 2), 8);
    const expected = ORIGINAL.replace("config_version: 1", "config_version: 2")
      .replace("prio: 100", "prio: X")
      .replace("prio: 98", "prio: 100")
      .replace("prio: X", "prio: 98");
    expect(printDocument(after)).toBe(expected);
  });

  test("the highest itself changes nothing", () => {
    const before = document(ORIGINAL);
    expect(swapPrioWithHighest(before, 4)).toBe(before);
  });

  test.each([
    { name: "equals: the later gets one more", before: [100, 100], master: 2, after: [100, 101] },
    { name: "equals: the earlier is first already", before: [100, 100], master: 1, after: [100, 100] },
    {
      name: "swapping alone would leave an equal before it",
      before: [100, 100, 50],
      master: 3,
      after: [50, 100, 101],
    },
    { name: "an equal behind it doesn't matter", before: [50, 100, 100], master: 1, after: [100, 50, 100] },
    { name: "no prios at all", before: [undefined, undefined, undefined], master: 2, after: [1, 2, 1] },
    { name: "a voter stays out of it", before: [0, 5, 3], master: 3, after: [0, 3, 5] },
    {
      name: "at the limit the others step back",
      before: [2147483647, 2147483647, 7],
      master: 3,
      after: [7, 2147483646, 2147483647],
    },
  ])("$name", ({ before, master, after }) => {
    expect(priosOf(swapPrioWithHighest(document(base(before)), master))).toEqual(after);
  });

  test("afterwards the master ranks first, whatever the prios were", () => {
    const prio = fc.oneof(
      fc.integer({ min: 1, max: 4 }),
      fc.constant(2_147_483_647),
      fc.constant(2_147_483_646),
    );
    fc.assert(
      fc.property(fc.array(prio, { minLength: 1, maxLength: 6 }), fc.nat(), (prios, choice) => {
        const master = (choice % prios.length) + 1;
        const after = swapPrioWithHighest(document(base(prios)), master);
        const ranked = priosOf(after)
          .map((value, index) => ({ id: index + 1, value }))
          .sort((a, b) => b.value - a.value || a.id - b.id);
        expect(ranked[0]?.id).toBe(master);
        expect(Math.min(...priosOf(after))).toBeGreaterThan(0);
        expect(swapPrioWithHighest(after, master)).toBe(after);
      }),
    );
  });

  test("failing over again and again doesn't drive prios up", () => {
    let conf = document(base([10, 10, 10]));
    for (let round = 0; round < 50; round += 1) conf = swapPrioWithHighest(conf, (round % 3) + 1);
    expect(Math.max(...priosOf(conf))).toBeLessThanOrEqual(12);
  });

  test("a voter, a stranger and a broken file are refused", () => {
    expect(codeOf(() => swapPrioWithHighest(document(base([0, 1])), 1))).toBe("CONFIG_INVALID");
    expect(codeOf(() => swapPrioWithHighest(document(base([1, 1])), 3))).toBe("NODE_UNKNOWN");
    expect(codeOf(() => setNodePrio(document(base([1, 1])), 3, 5))).toBe("NODE_UNKNOWN");
    expect(codeOf(() => setNodePrio(document(base([1, 1])), 2, -5))).toBe("CONFIG_INVALID");
    expect(codeOf(() => setNodePrio(document(base([1, 1])), 2, 1.5))).toBe("CONFIG_INVALID");
    expect(codeOf(() => setNodePrio(document("nodelist {\nnode {\nnodeid: x\n}\n}\n"), 2, 1))).toBe(
      "CONFIG_INVALID",
    );
  });

  test("a node id written with leading zeros is found", () => {
    const text = "nodelist {\n node {\n  nodeid: 007\n  prio: 1\n }\n}\n";
    expect(printDocument(setNodePrio(document(text), 7, 3))).toBe(text.replace("prio: 1", "prio: 3"));
  });

  test("members get a nodelist that says the same", () => {
    const text = corpus().find(({ name }) => name === "corosync1-udpu-members.conf")?.text ?? "";
    const before = readClusterConfig(text, "f");
    if (!before.ok) throw new Error("refused");
    const after = swapPrioWithHighest(before.document, 168_829_798);
    expect(printDocument(after).startsWith(text)).toBe(true);
    const read = readClusterConfig(printDocument(after), "f");
    if (!read.ok) throw new Error("refused afterwards");
    const expected = before.config.nodes.map((node) =>
      node.id === 168_829_798 ? { ...node, prio: 2 } : node,
    );
    expect(read.config.nodes).toEqual(expected);
    expect(printDocument(after)).toContain(
      "        node {\n                ring0_addr: 10.16.35.102\n                nodeid: 168829798\n                prio: 2\n        }\n",
    );
  });

  test("an empty nodelist is filled from the members", () => {
    const text = "totem {\n interface {\n  member {\n   memberaddr: 10.0.0.1\n  }\n }\n}\nnodelist {\n}\n";
    expect(printDocument(setNodePrio(document(text), 167_772_161, 4))).toBe(
      text.replace(
        "nodelist {\n",
        "nodelist {\n node {\n  ring0_addr: 10.0.0.1\n  nodeid: 167772161\n  prio: 4\n }\n",
      ),
    );
  });
});
