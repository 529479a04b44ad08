import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createCommandService } from "../src/managed-service/command-service.ts";
import {
  createFakeReadinessProbe,
  createFakeService,
  FakeServiceProcess,
} from "../src/managed-service/fake-service.ts";
import type { ManagedService } from "../src/managed-service/managed-service.ts";
import { parseStat } from "../src/managed-service/process-table.ts";
import { createReadinessProbe } from "../src/managed-service/real-readiness-probe.ts";
import { createUnitService, parseProperties, unitState } from "../src/managed-service/unit-service.ts";
import { monotonicNowUs } from "../src/tools/host-context.ts";

const CONTEXT = { nowUs: monotonicNowUs };

interface World {
  service(): ManagedService;
  /** The service ends by itself. */
  crash(): Promise<void>;
  end(): Promise<void>;
}

function fakeWorld(): World {
  const process = new FakeServiceProcess();
  return {
    service: () => createFakeService(process),
    crash: async () => process.crash(),
    end: async () => {},
  };
}

function realWorld(): World {
  const folder = mkdtempSync(path.join(tmpdir(), "quorate-service-"));
  const service = (): ManagedService =>
    createCommandService(CONTEXT, {
      command: "sleep 600",
      pidFile: path.join(folder, "service.pid"),
      logFile: path.join(folder, "service.log"),
    });
  return {
    service,
    crash: async () => {
      const state = await service().inspect();
      if (state.kind === "running" && state.pid !== null) process.kill(state.pid, "SIGKILL");
    },
    end: async () => {
      await service().stop(0);
      rmSync(folder, { recursive: true });
    },
  };
}

describe.each([
  ["fake", fakeWorld],
  ["real", realWorld],
] as const)("the %s managed service", (_name, makeWorld) => {
  let world: World;
  beforeEach(() => {
    world = makeWorld();
  });
  afterEach(() => world.end());

  test("starts once, and stops, however often one asks", async () => {
    const service = world.service();
    expect(await service.inspect()).toEqual({ kind: "stopped" });
    await service.start();
    const first = await service.inspect();
    expect(first.kind).toBe("running");
    await service.start();
    expect(await service.inspect()).toEqual(first);
    await service.stop(1_000_000);
    await service.stop(1_000_000);
    expect(await service.inspect()).toEqual({ kind: "stopped" });
    await service.close();
  });

  test("outlives its driver and is adopted by the next", async () => {
    const before = world.service();
    await before.start();
    const running = await before.inspect();
    await before.close();
    const after = world.service();
    expect(await after.inspect()).toEqual(running);
    await after.start();
    expect(await after.inspect()).toEqual(running);
    await after.stop(1_000_000);
    expect(await before.inspect()).toEqual({ kind: "stopped" });
  });

  test("tells that it ended by itself, adopted or not, and can be started again", async () => {
    const starter = world.service();
    await starter.start();
    await starter.close();
    const service = world.service();
    let ended = 0;
    service.listen(() => {
      ended += 1;
    });
    await service.inspect();
    await world.crash();
    await expect.poll(() => ended, { timeout: 3_000 }).toBe(1);
    expect(await service.inspect()).toMatchObject({ kind: "failed" });
    await service.start();
    expect(await service.inspect()).toMatchObject({ kind: "running" });
    await service.close();
  });
});

/** Zombies, which wait for a busy init, do not run. */
function runs(pid: number): boolean {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"))?.state !== "Z";
  } catch {
    return false;
  }
}

describe("a command as managed service", () => {
  let folder: string;
  let services: ManagedService[];
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quorate-service-"));
    services = [];
  });
  afterEach(async () => {
    for (const service of services) await service.stop(0);
    rmSync(folder, { recursive: true });
  });

  function command(text: string): ManagedService {
    const service = createCommandService(CONTEXT, {
      command: text,
      pidFile: path.join(folder, "pid"),
      logFile: path.join(folder, "log"),
      environment: { GREETING: "hello" },
    });
    services.push(service);
    return service;
  }

  test("writes its output to the log and knows its environment", async () => {
    await command('echo "$GREETING world"; exec sleep 600').start();
    await expect.poll(() => readFileSync(path.join(folder, "log"), "utf8")).toBe("hello world\n");
  });

  test("one that ignores SIGTERM, and its children, are killed after the grace", async () => {
    const service = command(`trap "" TERM; sleep 600 & echo $!; while :; do sleep 600; done`);
    await service.start();
    await expect.poll(() => readFileSync(path.join(folder, "log"), "utf8")).toMatch(/\d/);
    const child = Number(readFileSync(path.join(folder, "log"), "utf8"));
    const startUs = monotonicNowUs();
    await service.stop(200_000);
    expect(monotonicNowUs() - startUs).toBeGreaterThanOrEqual(200_000);
    expect(runs(child)).toBe(false);
  });

  test("one that ends at SIGTERM does not wait for the grace", async () => {
    const service = command("exec sleep 600");
    await service.start();
    const startUs = monotonicNowUs();
    await service.stop(30_000_000);
    expect(monotonicNowUs() - startUs).toBeLessThan(5_000_000);
  });

  test("what a dead one left behind is ended before the next start", async () => {
    const service = command("sleep 600 & echo $!");
    await service.start();
    await expect.poll(async () => (await service.inspect()).kind).toBe("failed");
    const child = Number(readFileSync(path.join(folder, "log"), "utf8"));
    expect(runs(child)).toBe(true);
    await service.start();
    await expect.poll(() => readFileSync(path.join(folder, "log"), "utf8").split("\n").length).toBe(3);
    expect(runs(child)).toBe(false);
  });

  test("a pid that was given to another process is not taken for ours, and not killed", async () => {
    const other = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
    try {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      const stat = readFileSync(`/proc/${other.pid}/stat`, "utf8").trim();
      const fields = stat.split(" ");
      fields[21] = String(Number(fields[21]) - 1);
      writeFileSync(path.join(folder, "pid"), `${boot}\n${fields.join(" ")}\n`);
      const service = command("exec sleep 600");
      expect(await service.inspect()).toMatchObject({ kind: "failed" });
      await service.stop(0);
      expect(other.exitCode ?? other.signalCode).toBeNull();
    } finally {
      other.kill("SIGKILL");
    }
  });

  test("a pid file of an earlier boot means nothing", async () => {
    const stat = readFileSync(`/proc/${process.pid}/stat`, "utf8").trim();
    writeFileSync(path.join(folder, "pid"), `11111111-2222-3333-4444-555555555555\n${stat}\n`);
    expect(await command("exec sleep 600").inspect()).toEqual({ kind: "stopped" });
  });

  test("a folder that is missing is an error with a remedy", async () => {
    const service = createCommandService(CONTEXT, {
      command: "true",
      pidFile: path.join(folder, "no", "pid"),
    });
    await expect(service.start()).rejects.toMatchObject({ code: "SERVICE_FAILED" });
  });

  test("outlives a kill of the process that started it", async () => {
    const program = `
      import { createCommandService } from ${JSON.stringify(new URL("../src/managed-service/command-service.ts", import.meta.url).href)};
      const service = createCommandService(
        { nowUs: () => Number(process.hrtime.bigint() / 1000n) },
        { command: "exec sleep 600", pidFile: ${JSON.stringify(path.join(folder, "pid"))} });
      await service.start();
      process.kill(process.pid, "SIGKILL");`;
    expect(() => execFileSync("node", ["--input-type=module", "-e", program], { stdio: "pipe" })).toThrow(
      /SIGKILL|Command failed/,
    );
    const service = command("exec sleep 600");
    expect(await service.inspect()).toMatchObject({ kind: "running" });
  });
});

describe("a systemd unit", () => {
  test("is running, stopped or failed as systemctl show says", () => {
    const state = (text: string) => unitState(parseProperties(text));
    expect(state("LoadState=loaded\nActiveState=active\nMainPID=12\n")).toEqual({ kind: "running", pid: 12 });
    expect(state("LoadState=loaded\nActiveState=active\nMainPID=0\n")).toEqual({
      kind: "running",
      pid: null,
    });
    expect(state("LoadState=loaded\nActiveState=inactive\nMainPID=0\n")).toEqual({ kind: "stopped" });
    expect(state("LoadState=loaded\nActiveState=failed\nResult=exit-code\n")).toMatchObject({
      kind: "failed",
    });
    expect(state("LoadState=not-found\nActiveState=inactive\n")).toMatchObject({ kind: "failed" });
  });

  test("without systemctl there is a clear error", async () => {
    // A world in which nothing of systemd can be found.
    const context = { ...CONTEXT, commandPrefix: ["sh", "-c", 'PATH=/nonexistent; exec "$@"', "sh"] };
    const service = createUnitService(context, { unit: "vmmgr.service" });
    await expect(service.inspect()).rejects.toMatchObject({
      code: "TOOL_MISSING",
      hint: "Install it: apt-get install systemd",
    });
  });
});

describe("readiness", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function serve(answer: string | "silent" | "hang up"): Promise<number> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      if (answer === "hang up") socket.destroy();
      else if (answer !== "silent") socket.once("data", () => socket.end(answer));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  test.each([
    ["HTTP/1.1 200 OK\r\n\r\n", true],
    ["HTTP/1.0 404 Not Found\r\n\r\n", true],
    ["HTTP/1.1 503 Service Unavailable\r\n\r\n", false],
    ["\u0015\u0003\u0003\u0000\u0002", true],
    ["hang up", true],
    ["silent", false],
  ])("of one who answers %j is %j", async (answer, ready) => {
    const target = { address: "127.0.0.1", port: await serve(answer) };
    expect((await createReadinessProbe().check([target], 300_000)).ready).toBe(ready);
  });

  test("needs every target, and names the first that is not ready", async () => {
    const good = { address: "127.0.0.1", port: await serve("HTTP/1.1 200 OK\r\n\r\n") };
    const port = await serve("silent");
    servers.pop()?.close();
    const bad = { address: "127.0.0.1", port };
    for (const probe of [
      createReadinessProbe(),
      createFakeReadinessProbe((target) => target.port !== port),
    ]) {
      expect(await probe.check([good], 500_000)).toEqual({ ready: true });
      expect(await probe.check([], 500_000)).toEqual({ ready: true });
      expect(await probe.check([good, bad], 500_000)).toMatchObject({ ready: false, target: bad });
    }
  });
});
