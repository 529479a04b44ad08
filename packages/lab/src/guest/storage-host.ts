/**
 * The storage host: one more network on the switch, with one `qemu-nbd` and one port for each guest's disk. It has
 * power as long as the lab; its disks are seen from outside through its PID 1.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { firstChildApart } from "../host.ts";
import { nameProcess, waitUntil } from "../processes.ts";
import type { LabRecord, StorageRecord } from "../record.ts";
import { bridgeOf, ipBatch, LAB_MARK, STORAGE_PORT } from "../switch.ts";
import { DISK_BYTES, type Guest, guestsOf, STORAGE_ADDRESS } from "./guests.ts";

const ASSETS = join(import.meta.dirname, "../../assets");

const STORAGE_DEVICE = "eth0";

/** Resolves when every disk can be reached. */
export async function startStorage(
  record: LabRecord,
  switchPid: number,
  runDir: string,
): Promise<StorageRecord> {
  const folder = storageFolder(record);
  mkdirSync(folder, { recursive: true });
  const disks = guestsOf(record.guests).map(({ name, diskPort }) => `${name}:${diskPort}`);
  const child = spawn(
    "unshare",
    [
      ...["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["--", "sh", join(ASSETS, "storage-host.sh"), ...disks],
    ],
    {
      detached: true,
      cwd: "/",
      stdio: ["pipe", "ignore", "ignore"],
      env: {
        PATH: process.env["PATH"],
        LANG: "C.UTF-8",
        LAB_ASSETS: ASSETS,
        LAB_STORAGE_DIR: folder,
        LAB_STORAGE_ADDRESS: STORAGE_ADDRESS,
        LAB_STORAGE_BYTES: String(DISK_BYTES),
        [LAB_MARK]: runDir,
      },
    },
  );
  child.unref();
  const holder = child.pid === undefined ? null : nameProcess(child.pid);
  const init = child.pid === undefined ? null : await firstChildApart(child.pid);
  if (holder === null || init === null) throw storageFailed("has no PID 1");
  await ipBatch(switchPid, [
    `link add ${STORAGE_PORT} type veth peer name ${STORAGE_DEVICE} netns ${init.pid}`,
    `link set ${STORAGE_PORT} master ${bridgeOf(0)} up`,
  ]);
  await ipBatch(init.pid, [
    "link set lo up",
    `address add ${STORAGE_ADDRESS}/24 dev ${STORAGE_DEVICE}`,
    `link set ${STORAGE_DEVICE} up`,
  ]);
  child.stdin.on("error", () => {});
  child.stdin.end("plugged\n");
  const ports = guestsOf(record.guests).map(({ diskPort }) => diskPort);
  if (!(await waitUntil(() => isListening(init.pid, ports), 10_000))) {
    throw storageFailed("does not listen on all of its ports");
  }
  return { holder, init, link: "up" };
}

/** Where a guest's disk can be read on this machine while the storage host lives. */
export function diskPath(record: LabRecord, guest: Guest): string {
  if (record.storage === null) throw storageFailed("is not there");
  return join(`/proc/${record.storage.init.pid}/root`, storageFolder(record), `${guest.name}.raw`);
}

function storageFolder(record: LabRecord): string {
  return join(record.dataDir, "storage");
}

const LISTENING = "0A";

function isListening(pid: number, ports: readonly number[]): boolean {
  const rows = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n").slice(1);
  const found = new Set<number>();
  for (const row of rows) {
    const [, local = "", , state] = row.trim().split(/\s+/);
    if (state === LISTENING) found.add(Number.parseInt(local.split(":")[1] ?? "", 16));
  }
  return ports.every((port) => found.has(port));
}

function storageFailed(what: string): QuorateError {
  return new QuorateError("TOOL_FAILED", `the lab's storage host ${what}`, "Run as root, not in a sandbox.");
}
