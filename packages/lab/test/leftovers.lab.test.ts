import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { Lab } from "../src/index.ts";
import { allPids, processesWithEnvironment, readNamespace, waitUntil } from "../src/processes.ts";
import { LAB_RUN_ROOT } from "../src/record.ts";
import { LAB_MARK } from "../src/switch.ts";
import { idlePlan, ROOT, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const NAME = testLabName("leftovers");
const RUN_DIR = join(LAB_RUN_ROOT, NAME);

beforeAll(sweepAbandonedTestLabs);

afterEach(() => Lab.down(NAME));

/** Other tests mount things too: only what could be this lab's. */
function mounts(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.includes(NAME) || /quorate/.test(line));
}

function namespaces(): Set<string> {
  const found = new Set<string>();
  for (const pid of allPids()) {
    for (const kind of ["net", "mnt", "pid"] as const) {
      const name = readNamespace(pid, kind);
      if (name !== null) found.add(name);
    }
  }
  return found;
}

async function nothingIsLeft(
  mountsBefore: readonly string[],
  labNamespaces: readonly string[],
): Promise<void> {
  expect(processesWithEnvironment(LAB_MARK, RUN_DIR)).toEqual([]);
  // A pid namespace is there until its PID 1 is reaped, at the latest by the machine's own PID 1.
  const areGone = () => namespaces().isDisjointFrom(new Set(labNamespaces));
  expect(await waitUntil(areGone, 10_000)).toBe(true);
  expect(mounts()).toEqual(mountsBefore);
  expect(existsSync(RUN_DIR)).toBe(false);
  expect(existsSync(join(ROOT, ".lab", NAME))).toBe(false);
  expect(existsSync("/etc/quorate/cluster.conf")).toBe(false);
}

function namespacesOf(lab: Lab): string[] {
  const status = lab.status();
  const ofHosts = status.hosts.flatMap((host) => Object.values(host.namespaces ?? {}));
  return [...ofHosts, status.switch.net, status.client.net].filter((name) => name !== null);
}

describe("down", () => {
  it("leaves no process, namespace, mount or folder", async () => {
    const before = mounts();
    const lab = await Lab.up(NAME, idlePlan(NAME));
    await lab.kill(4);
    await lab.freeze(2);
    const made = namespacesOf(lab);
    expect(made.length).toBe(12);
    await Lab.down(NAME);
    await nothingIsLeft(before, made);
  });

  it("clears by the record after the lab's own process was killed", async () => {
    const before = mounts();
    const script = `
      import { Lab } from ${JSON.stringify(join(ROOT, "packages/lab/src/index.ts"))};
      import { idlePlan } from ${JSON.stringify(join(import.meta.dirname, "stand-in-plan.ts"))};
      await Lab.up(${JSON.stringify(NAME)}, idlePlan(${JSON.stringify(NAME)}), { own: true });
      process.kill(process.pid, "SIGKILL");
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: "inherit" });
    const signal = await new Promise((resolve) => child.once("exit", (_code, by) => resolve(by)));
    expect(signal).toBe("SIGKILL");
    const made = namespacesOf(Lab.open(NAME));
    // Its owner is dead: whoever starts next may clear it without being asked to.
    await Lab.clearAbandoned(NAME);
    await nothingIsLeft(before, made);
  });

  it("happens on Ctrl-C, whatever the bench is doing to its lab", async () => {
    const before = mounts();
    const script = `
      import { takeDownOnSignal } from ${JSON.stringify(join(ROOT, "packages/lab/src/bench/bench-lab.ts"))};
      import { Lab } from ${JSON.stringify(join(ROOT, "packages/lab/src/index.ts"))};
      import { idlePlan } from ${JSON.stringify(join(import.meta.dirname, "stand-in-plan.ts"))};
      takeDownOnSignal(${JSON.stringify(NAME)});
      const lab = await Lab.up(${JSON.stringify(NAME)}, idlePlan(${JSON.stringify(NAME)}), { own: true });
      await lab.freeze(2);
      await lab.setSwitch(false);
      process.stdout.write("up");
      setInterval(() => {}, 1000);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const made = namespacesOf(Lab.open(NAME));
    child.kill("SIGINT");
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(130);
    await nothingIsLeft(before, made);
  });

  it("clears by the mark when the record is damaged", async () => {
    const before = mounts();
    const lab = await Lab.up(NAME, idlePlan(NAME));
    const made = namespacesOf(lab);
    writeFileSync(
      join(RUN_DIR, "lab.json"),
      `{"dataDir": ${JSON.stringify(join(ROOT, ".lab", NAME))}, "hosts": 7}`,
    );
    await Lab.down(NAME);
    expect(processesWithEnvironment(LAB_MARK, RUN_DIR)).toEqual([]);
    await nothingIsLeft(before, made);
  });

  it("happens by itself when coming up fails", async () => {
    const before = mounts();
    const plan = idlePlan(NAME);
    const [first] = plan.hosts;
    if (first === undefined) throw new Error("a plan has hosts");
    first.program.prepare = [["sh", "-c", "echo planted failure >&2; exit 3"]];
    await expect(Lab.up(NAME, plan)).rejects.toThrow(/ended with 3: planted failure/);
    await nothingIsLeft(before, []);
  });
});
