import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, type ProcessIdentity, pidFilePath, readPidFile } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lastWords, LOG_KEPT, openLog, rotateLog, rotateLogs } from "../src/node-run/log-file.ts";
import type { Program } from "../src/node-run/programs.ts";
import { findRunning, SupervisedProcess } from "../src/node-run/supervised-process.ts";
import { temporaryFolder, until } from "./fixture.ts";

let folder: string;
let places: { runDir: string; stateDir: string };
let supervised: SupervisedProcess[];
let supervisors: ChildProcess[];
const seen = {
  started: [] as number[],
  adopted: [] as number[],
  ended: [] as string[],
  waits: [] as number[],
};

beforeEach(() => {
  folder = temporaryFolder();
  places = { runDir: join(folder, "run"), stateDir: join(folder, "state") };
  mkdirSync(join(places.runDir, "pids"), { recursive: true });
  mkdirSync(join(places.stateDir, "log"), { recursive: true });
  supervised = [];
  supervisors = [];
  for (const list of Object.values(seen)) list.length = 0;
});

afterEach(async () => {
  for (const child of supervisors) child.kill("SIGKILL");
  const running = readPidFile(pidFilePath(places.runDir, "napper"));
  await Promise.all(supervised.map((one) => one.stop(1000)));
  if (running !== null && isAlive(running)) process.kill(running.pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function napper(script = `exec sleep 1000.${process.pid}`): Program {
  return { name: "napper", command: "/bin/sh", args: ["-c", script], environment: {}, urgent: false };
}

function supervise(program: Program): SupervisedProcess {
  const one = new SupervisedProcess(program, places, {
    started: (_name, { pid }) => seen.started.push(pid),
    adopted: (_name, { pid }) => seen.adopted.push(pid),
    ended: (_name, _pid, how, restartInMs) => {
      seen.ended.push(how);
      seen.waits.push(restartInMs);
    },
  });
  supervised.push(one);
  one.start(findRunning([program], places.runDir).get(program.name) ?? null);
  return one;
}

function current(one: SupervisedProcess): ProcessIdentity {
  if (one.current === null) throw new Error("nothing runs");
  return one.current;
}

describe("supervised process", () => {
  it("is started again at once when killed, and named by its pid file", async () => {
    const one = supervise(napper());
    const first = current(one);
    expect(readPidFile(pidFilePath(places.runDir, "napper"))).toEqual(first);
    const killedMs = performance.now();
    process.kill(first.pid, "SIGKILL");
    await until("a second one", () => one.current !== null && one.current.pid !== first.pid);
    expect(performance.now() - killedMs).toBeLessThan(500);
    expect(seen.ended).toEqual(["killed by SIGKILL"]);
    expect(readPidFile(pidFilePath(places.runDir, "napper"))).toEqual(current(one));
  });

  it("waits longer each time when it keeps ending, and says the last words", async () => {
    supervise(napper('echo \'{"message":"the port is taken.","hint":"Free it."}\'; exit 7'));
    await until("three ends", () => seen.ended.length >= 3);
    expect(seen.waits.slice(0, 3)).toEqual([0, 100, 300]);
    expect(seen.ended[0]).toBe("exit 7: the port is taken. Free it.");
  });

  it("says so when the program is not there, and goes on trying", async () => {
    supervise({ ...napper(), command: "/nowhere/napper" });
    await until("an end", () => seen.ended.length >= 2);
    expect(seen.ended[0]).toContain("ENOENT");
  });

  it("stops by SIGTERM, and by SIGKILL when it will not", async () => {
    const gentle = supervise(napper());
    const first = current(gentle);
    await gentle.stop(5000);
    expect(isAlive(first)).toBe(false);
    expect(existsSync(pidFilePath(places.runDir, "napper"))).toBe(false);
    const stubborn = supervise(napper(`trap '' TERM; echo deaf; exec sleep 1000.${process.pid}`));
    const second = current(stubborn);
    await until("the trap", () => readFileSync(stubborn.logFile, "utf8").includes("deaf"));
    await stubborn.stop(50);
    expect(isAlive(second)).toBe(false);
  });

  it("lives on when its supervisor is killed with -9, and is adopted by the next", async () => {
    const script = join(folder, "supervisor.ts");
    const module = join(import.meta.dirname, "../src/node-run/supervised-process.ts");
    writeFileSync(
      script,
      `import { SupervisedProcess } from ${JSON.stringify(module)};
       const one = new SupervisedProcess(${JSON.stringify(napper())}, ${JSON.stringify(places)},
         { started() { process.send("up"); }, adopted() {}, ended() {} });
       one.start(null);
       setInterval(() => {}, 1000);`,
    );
    const supervisor = fork(script, { stdio: "inherit" });
    supervisors.push(supervisor);
    await once(supervisor, "message");
    supervisor.kill("SIGKILL");
    await once(supervisor, "exit");
    const orphan = readPidFile(pidFilePath(places.runDir, "napper"));
    expect(orphan).not.toBeNull();

    const next = supervise(napper());
    expect(current(next)).toEqual(orphan);
    expect(next.needsPolling).toBe(true);
    expect(seen.adopted).toEqual([orphan?.pid]);
    expect(seen.started).toEqual([]);

    process.kill(current(next).pid, "SIGKILL");
    await until("noticed and started again", () => {
      next.poll();
      return seen.started.length === 1;
    });
    expect(next.needsPolling).toBe(false);
  });

  it("is known by its arguments when its pid file was lost", async () => {
    const first = supervise(napper());
    const identity = current(first);
    await until("sleeping", () => readFileSync(`/proc/${identity.pid}/cmdline`, "utf8").startsWith("sleep"));
    rmSync(pidFilePath(places.runDir, "napper"));
    const program: Program = {
      name: "napper",
      command: "sleep",
      args: [`1000.${process.pid}`],
      environment: {},
      urgent: false,
    };
    const second = supervise(program);
    expect(current(second)).toEqual(identity);
  });
});

describe("log files", () => {
  it("are kept small: copied, emptied, three old ones kept, the writer goes on at the new end", () => {
    const path = join(folder, "x.log");
    const writer = openLog(path);
    for (let round = 1; round <= 5; round++) {
      writeFileSync(writer, `round ${round} ${"x".repeat(100)}\n`);
      expect(rotateLog(path, 1000)).toBe(false);
      expect(rotateLog(path, 100)).toBe(true);
    }
    writeFileSync(writer, "now\n");
    expect(readFileSync(path, "utf8")).toBe("now\n");
    expect(readFileSync(`${path}.1`, "utf8")).toContain("round 5");
    expect(readFileSync(`${path}.${LOG_KEPT}`, "utf8")).toContain("round 3");
    expect(existsSync(`${path}.${LOG_KEPT + 1}`)).toBe(false);
    expect(lastWords(path)).toBe("now");
    expect(lastWords(join(folder, "none"))).toBe("");
  });

  it("are kept small, the managed service's too, which is no program of the supervisor", () => {
    const log = join(folder, "log");
    mkdirSync(log, { recursive: true });
    for (const name of ["membership", "managed-service"]) writeFileSync(join(log, `${name}.log`), "12345\n");
    writeFileSync(join(log, "small.log"), "1\n");
    rotateLogs(log, 5);
    expect(readdirSync(log).sort()).toEqual([
      "managed-service.log",
      "managed-service.log.1",
      "membership.log",
      "membership.log.1",
      "small.log",
    ]);
    expect(readFileSync(join(log, "managed-service.log"), "utf8")).toBe("");
  });

  it("are emptied even if there is no room for a copy", () => {
    const path = join(folder, "x.log");
    writeFileSync(path, "12345\n");
    // A folder cannot be written over: it stands for a disk that refuses.
    mkdirSync(join(`${path}.1`, "in the way"), { recursive: true });
    mkdirSync(`${path}.2`);
    mkdirSync(join(`${path}.2`, "in the way"));
    expect(rotateLog(path, 5)).toBe(true);
    expect(readFileSync(path, "utf8")).toBe("");
  });
});
