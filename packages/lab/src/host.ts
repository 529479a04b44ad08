/** One host: boot, power cut, freeze, and what runs inside. The lab (lab.ts) keeps the record. */
import { randomUUID } from "node:crypto";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { invariant, QuorateError } from "@quorate/contracts";
import { commandNow, inNamespaces } from "./command.ts";
import { LIBVIRTD_COMMAND, writeGuestFiles } from "./guest/libvirt-host.ts";
import {
  childrenOf,
  type HostProcess,
  isAlive,
  isStopped,
  nameProcess,
  type ProcessName,
  processesOfHost,
  readNamespace,
  signalProcess,
  waitUntil,
} from "./processes.ts";
import type { HostRecord, LabRecord } from "./record.ts";
import { LAB_MARK } from "./switch.ts";

const ASSETS = join(import.meta.dirname, "../assets");
const TICKS_PER_SECOND = 100;

/** The state folder of a host on the machine; it survives the host's power cuts and goes with the lab. */
export function hostDir(record: LabRecord, id: number): string {
  return join(record.dataDir, String(id));
}

/** What the lab's guests boot; goes with the lab. */
export function guestImageFolder(record: LabRecord): string {
  return join(record.dataDir, "guest-image");
}

/**
 * How far this boot's CLOCK_MONOTONIC is from the machine's. It differs between the hosts and jumps both ways
 * from boot to boot, as on real hosts: code that compares clocks of two hosts, or of two boots, fails here too.
 */
export function clockOffsetS(id: number, boot: number): number {
  return 1000 + ((id * 7919 + boot * 15_073) % 50_000);
}

/** Where commands are found in a host: our own Node and the product's commands first. */
export function hostPath(root: string): string {
  const folders = [".toolchain/node_modules/.bin", "node_modules/.bin"].map((folder) => join(root, folder));
  return [...folders, process.env["PATH"]].join(delimiter);
}

export type BootedHost = {
  holder: ProcessName;
  init: ProcessName;
  /** Plug the network before, prepare the host after. */
  mount: () => Promise<void>;
  run: () => void;
};

/** Switches a host on: new namespaces, new boot id, PID 1 waiting for `mount` and then for `run`. */
export async function bootHost(record: LabRecord, host: HostRecord, runDir: string): Promise<BootedHost> {
  const folder = hostDir(record, host.id);
  for (const name of ["etc", "state", "log"]) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, "boot_id"), `${randomUUID()}\n`);
  if (record.guests > 0) {
    writeGuestFiles(folder, { id: host.id, address: host.ports[0]?.address ?? "" }, record.guests);
  }
  const kept = [host.run, ...(record.guests > 0 ? [LIBVIRTD_COMMAND] : [])];
  const offset = String(host.clockOffsetS);
  const log = openSync(join(folder, "log", "host.log"), "a");
  const child = spawn(
    "unshare",
    [
      ...["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["--time", "--monotonic", offset, "--boottime", offset],
      ...["--", "sh", join(ASSETS, "init.sh"), ...kept.flatMap((command) => ["--keep", ...command])],
    ],
    {
      detached: true,
      cwd: "/",
      stdio: ["pipe", log, log, "pipe"],
      env: {
        PATH: hostPath(record.root),
        LANG: "C.UTF-8",
        LAB_HOST_DIR: folder,
        LAB_HOST_NAME: host.name,
        LAB_ROOT: record.root,
        LAB_ASSETS: ASSETS,
        ...(record.guests > 0 ? { LAB_GUEST_IMAGE: guestImageFolder(record) } : {}),
        [LAB_MARK]: runDir,
      },
    },
  );
  child.unref();
  closeSync(log);
  const holderPid = child.pid ?? 0;
  const init = await firstChildApart(holderPid);
  const holder = nameProcess(holderPid);
  if (holder === null || init === null) throw bootFailed(host, folder);
  return {
    holder,
    init,
    mount: () => tellAndWait(child, () => bootFailed(host, folder)),
    run: () => {
      child.stdin?.end("run\n");
    },
  };
}

/** The child of `unshare`: PID 1 as soon as it lives in a pid namespace other than ours. Null when it never does. */
export async function firstChildApart(holderPid: number): Promise<ProcessName | null> {
  const own = readNamespace(process.pid, "pid");
  let initPid = 0;
  const born = await waitUntil(
    () => {
      initPid = childrenOf(holderPid)[0] ?? 0;
      const namespace = initPid === 0 ? null : readNamespace(initPid, "pid");
      return namespace !== null && namespace !== own;
    },
    5000,
    2,
  );
  return born ? nameProcess(initPid) : null;
}

function bootFailed(host: HostRecord, folder: string): QuorateError {
  return new QuorateError("TOOL_FAILED", `host ${host.name} did not boot`, `See ${folder}/log/host.log`);
}

/** Says "mount" to PID 1 and resolves at its "ready". */
function tellAndWait(child: ChildProcess, failure: () => QuorateError): Promise<void> {
  return new Promise((resolve, reject) => {
    const answer = child.stdio[3];
    invariant(answer !== null && answer !== undefined, "PID 1 has an answer pipe");
    answer.once("data", () => {
      answer.destroy();
      resolve();
    });
    // The holder ends with its child: the pipe alone would stay open in it.
    child.once("exit", () => reject(failure()));
    child.stdin?.on("error", () => {});
    child.stdin?.write("mount\n");
  });
}

/**
 * The power goes: the port leaves the switch and every process of the host dies in the same moment.
 * Returns that moment (ms of the wall clock, as the capture's timestamps). The port goes first: while the
 * host's namespace still winds up, its kernel would go on answering.
 */
export function cutPower(switchPid: number, host: HostRecord): number {
  // One message to the kernel per port: out of the bridge and down.
  for (const port of host.ports) {
    commandNow(inNamespaces(switchPid, "network", ["ip", "link", "set", port.name, "nomaster", "down"]));
  }
  // The holder follows its child and reaps it.
  if (host.init !== null) signalProcess(host.init, "SIGKILL");
  return Date.now();
}

/** The host's process `name` by its pid file (`PID STARTTIME` in the host's own numbers); null if none runs. */
export function namedProcess(host: HostRecord, name: string): HostProcess | null {
  if (host.init === null) return null;
  let text: string;
  try {
    text = readFileSync(`/proc/${host.init.pid}/root/run/quorate/pids/${name}.pid`, "utf8");
  } catch {
    return null;
  }
  const [pidInHost, startTime] = text.trim().split(/\s+/);
  const found = processesOfHost(host.init.pid).find((candidate) => candidate.pidInHost === Number(pidInHost));
  if (found === undefined) return null;
  // The host counts start times from its own boot: its clock is ahead of ours by the offset.
  const outside = Number(nameProcess(found.pid)?.startTime);
  const inside = outside + host.clockOffsetS * TICKS_PER_SECOND;
  return startTime === undefined || Math.abs(inside - Number(startTime)) <= 1 ? found : null;
}

/**
 * SIGSTOP to everything in the host except PID 1 and what `spared` names, until nothing new appears: the kernel
 * goes on, and so does what is spared.
 */
export async function freezeHost(
  initPid: number,
  spared: (process: HostProcess) => boolean = () => false,
): Promise<number[]> {
  const stopped = new Set<number>();
  const settled = await waitUntil(
    () => {
      const running = othersOf(initPid)
        .filter((process) => !spared(process))
        .map(({ pid }) => pid)
        .filter((pid) => !isStopped(pid));
      for (const pid of running) {
        stopped.add(pid);
        signal(pid, "SIGSTOP");
      }
      return running.length === 0;
    },
    5000,
    1,
  );
  if (!settled) throw new QuorateError("TOOL_FAILED", "the host would not freeze", "Try again.");
  return [...stopped];
}

export function thawHost(initPid: number): void {
  for (const { pid } of othersOf(initPid)) signal(pid, "SIGCONT");
}

/** SIGKILL to everything in the host except PID 1 and what `spared` names, until none of them is left. */
export async function killProcesses(
  initPid: number,
  spared: (process: HostProcess) => boolean,
): Promise<void> {
  const targets = othersOf(initPid).filter((process) => !spared(process));
  const named = targets.map(({ pid }) => nameProcess(pid)).filter((process) => process !== null);
  for (const process of named) signalProcess(process, "SIGKILL");
  if (!(await waitUntil(() => !named.some(isAlive), 5000, 2))) {
    throw new QuorateError("TOOL_FAILED", "the host's processes would not die", "Look at /proc.");
  }
}

function othersOf(initPid: number): HostProcess[] {
  return processesOfHost(initPid).filter((process) => process.pid !== initPid);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
