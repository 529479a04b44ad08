import { describe, expect, it } from "vitest";
import {
  type KnownMachines,
  machineLines,
  machineTable,
  proofNeeded,
  relocatable,
} from "../src/machine-lines.ts";
import { machineGuarantees, machineRows, machinesStatus } from "../src/status-machines.ts";
import { lostStorageText } from "../src/status-storages.ts";
import { GIVEN, known, record, report, WAITS } from "./machine-fixture.ts";

describe("machines under care", () => {
  it("stand in one table with what each waits for and what no lease fences", () => {
    expect(machineTable(machineLines(known(), known()))).toBe(
      `NAME  NODE  STATE    WANTED   PRIO  MEMORY    VCPUS  RELOCATABLE
db    -     stopped  running  5     4096 MiB  2      yes
disk  4     running  running  0     96 MiB    1      no: local disk
old   -     stopped  stopped  0     96 MiB    1      yes
raw   4     running  running  0     96 MiB    1      not by lease
web   2     running  running  0     96 MiB    1      yes
db: ${WAITS}
disk: disk vda lies on this host alone (/var/disk.img)
raw: something of it passes by the gates
`,
    );
    expect(machineTable([])).toContain("quorate vm define FILE");
  });

  it("are told by the newest word, and where that is kept", () => {
    const lines = machineLines(known(), null);
    expect(lines.map(({ vm, node, keeper }) => [vm, node, keeper])).toEqual([
      ["db", null, 4],
      ["disk", 4, 4],
      ["old", null, 2],
      ["raw", 4, 4],
      ["web", 2, 2],
    ]);
  });

  it("say when one is cut off or on its way", () => {
    const cut = known();
    const copy = cut.reports[0]?.copies[0];
    if (copy !== undefined) copy.confirmed = false;
    const moving = { vm: "raw", owner: 4, placement: GIVEN, movingTo: 8 };
    const text = machineTable(machineLines(cut, { ...cut, table: [moving] }));
    expect(text).toMatch(/^web +2 +running, cut off/m);
    expect(text).toMatch(/^raw +4 +moving to 8/m);
  });
});

describe("machines in the status", () => {
  const said = (own: KnownMachines, master: KnownMachines | null = own) => ({
    value: { own, master },
    ageMs: 0,
    problem: "",
  });

  it("are counted, with what waits and what cannot be relocated, beforehand", () => {
    expect(machineRows(machinesStatus(said(known())))).toEqual([
      "3 run, 1 waits, 1 stopped",
      WAITS,
      "disk is relocatable not at all: disk vda lies on this host alone (/var/disk.img)",
      "raw is relocatable not by lease: something of it passes by the gates; when node 4 is silent, it waits until you switch it off and say so: quorate node confirm-off 4",
    ]);
    expect(machineRows(machinesStatus(said(known(), null)))[0]).toContain("no master is known");
    expect(machineRows(machinesStatus(null))).toEqual([]);
  });

  it("tell which hosts a device can switch off, and what has become of that", () => {
    const own = known({
      powerDevices: [2, 4],
      offProofs: [{ node: 8, witness: "operator", agoMs: 4200 }],
      offAttempts: [{ node: 2, failures: 3, why: "no route." }],
    });
    expect(machineRows(machinesStatus(said(own))).slice(3)).toEqual([
      "raw is relocatable not by lease: something of it passes by the gates; when node 4 is silent, its power device switches it off first",
      "power devices: node 2, 4",
      "node 8 is taken for off on an operator's word, 4 s ago",
      "node 2 is being switched off by its power device; it failed 3 times, the last time: no route.",
    ]);
    expect(machineTable(machineLines(own, own))).toMatch(/^raw +.* by power device$/m);
    const beside = (change: Partial<KnownMachines>) => machineGuarantees(said(known(change)))[1];
    expect(beside({})).toMatchObject({ inForce: false, detail: expect.stringContaining("confirm-off") });
    expect(beside({ powerDevices: [2] })).toMatchObject({
      inForce: false,
      detail: expect.stringContaining("not those of node 4"),
    });
    expect(beside({ powerDevices: [2, 4] })).toMatchObject({ inForce: true });
    const broken = { code: "TOOL_MISSING", message: "none.", facts: { subject: "power-device/2" } };
    expect(beside({ powerDevices: [2, 4], problems: [broken] })).toMatchObject({ inForce: false });
  });

  it("name the storage that does not answer, whom, and whether it is to blame", () => {
    const SAN = "10.0.9.1:10809";
    const base = known();
    const needing = record("web", { storages: [SAN] });
    const lost = (...nodes: number[]) => {
      const reports = base.reports.map((each) => ({
        ...each,
        records: each.node === 2 ? [needing] : each.records,
        storageGone: nodes.includes(each.node) ? [SAN] : [],
      }));
      return { ...base, reports };
    };
    const textOf = (own: KnownMachines) =>
      machinesStatus(said(own))?.lostStorages.map((each) => lostStorageText(each));
    expect(textOf(lost())).toEqual([]);
    expect(textOf(lost(2))).toEqual([
      `Storage ${SAN} does not answer node 2: nothing that needs it is placed there. Needed there by web.`,
    ]);
    expect(textOf(lost(2, 4))?.[0]).toContain(`answers none of the nodes 2, 4: the storage is to blame`);
    const table = machineTable(machineLines(lost(2), lost(2)));
    expect(table).toContain(`web: its storage ${SAN} does not answer node 2`);
  });

  it("that were started under a watchdog are shown so, with what that takes, and a host that is about to be reset", () => {
    const raw = record("raw", { gated: false, watchdogUs: 10_000_000 });
    const watchdog = { timeoutMs: 10_000, state: "starving" as const };
    const own = known({ reports: [report(4, [raw], ["raw"])], watchdog });
    const [line] = machineLines(own, own);
    expect(line === undefined ? "" : relocatable(line)).toBe("by watchdog");
    expect(line === undefined ? "" : proofNeeded(line)).toContain("a token and 33 s");
    const rows = machineRows(machinesStatus(said(own)));
    expect(rows).toContain("the watchdog of this host IS NOT FED and resets it within 10 s");
    expect(machineGuarantees(said(own)).at(-1)?.detail).toContain("33 s and a token after the fence");
  });

  it("are fenced by what is truly in force, which is said", () => {
    expect(machineGuarantees(null)).toEqual([]);
    const inForce = (own: KnownMachines) =>
      machineGuarantees(said(own)).map(({ name, inForce: is }) => `${name}: ${is}`);
    expect(inForce(known())).toEqual(["machines' gates: true", "machines beside the gates: false"]);
    const trouble = {
      code: "TOOL_FAILED",
      message: "nft.",
      facts: { subject: "gates/renew-gates", failures: 2 },
    };
    expect(inForce(known({ problems: [trouble] }))[0]).toBe("machines' gates: false");
    const silent = { value: null, ageMs: null, problem: "Nobody answers." };
    expect(machineGuarantees(silent)[0]).toMatchObject({ inForce: false, detail: "Nobody answers." });
  });
});
