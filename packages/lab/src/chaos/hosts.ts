/** The lab's plan for each kind of host that faults need. */
import { existsSync } from "node:fs";
import { assertNever, QuorateError } from "@quorate/contracts";
import { DEFAULT_TOPOLOGY } from "../configuration.ts";
import { type HostPlan, type LabPlan, quoratePlan } from "../plan.ts";
import type { HostKind } from "./fault.ts";

/** In the host: what the wall clock of our processes is ahead, e.g. `+1h`. Read anew every second. */
export const FAKETIME_FILE = "/etc/quorate/faketime";

const FAKETIME_LIBRARIES = ["x86_64", "aarch64"].map(
  (machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`,
);

const SMALL_DISK = "64m";

export function planOf(kind: HostKind, root: string, name: string, guests: number): LabPlan {
  const plan = quoratePlan(root, name, { ...DEFAULT_TOPOLOGY, guests });
  switch (kind) {
    case "plain":
      return plan;
    case "faketime":
      return { ...plan, hosts: plan.hosts.map(withFakeTime) };
    case "small-disk":
      return { ...plan, hosts: plan.hosts.map(withSmallDisk) };
    default:
      return assertNever(kind);
  }
}

function withFakeTime(host: HostPlan): HostPlan {
  const library = FAKETIME_LIBRARIES.find((path) => existsSync(path));
  if (library === undefined) {
    throw new QuorateError(
      "TOOL_MISSING",
      "libfaketime is not installed: no process's wall clock can be stepped alone.",
      "Run: npm run setup, or: apt-get install libfaketime",
    );
  }
  const { program } = host;
  return {
    ...host,
    program: {
      ...program,
      prepare: [["sh", "-c", `echo '+0' > ${FAKETIME_FILE}`], ...program.prepare],
      // The wall clock alone: CLOCK_MONOTONIC stays the kernel's. nats-server asks the kernel past the library.
      run: [
        "env",
        `LD_PRELOAD=${library}`,
        `FAKETIME_TIMESTAMP_FILE=${FAKETIME_FILE}`,
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_RESET=1",
        ...program.run,
      ],
    },
  };
}

/** A power cut would lose it: no fault on such hosts does that. */
function withSmallDisk(host: HostPlan): HostPlan {
  const mount = ["mount", "-t", "tmpfs", "-o", `size=${SMALL_DISK},mode=0700`, "tmpfs", "/var/lib/quorate"];
  return { ...host, program: { ...host.program, prepare: [mount, ...host.program.prepare] } };
}
