import { closeSync, fstatSync, globSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { hostDir } from "./host.ts";
import type { Lab } from "./lab.ts";

/** Prints an error as `quorate` does and answers the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof QuorateError) {
    process.stderr.write(`quorate-lab: ${error.message}\n  ${error.hint}\n`);
    return error.exitCode;
  }
  process.stderr.write(
    `quorate-lab: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
}

const TAIL_BYTES = 2500;

/** The end of every host's logs, for a failure whose lab is about to be taken down. */
export function hostLogTails(lab: Lab): string {
  const record = lab.record();
  return record.hosts
    .flatMap((host) => {
      const folder = hostDir(record, host.id);
      const logs = globSync(["log/*.log", "log/guests/*.log", "log/libvirt/**/*.log", "state/log/*.log"], {
        cwd: folder,
      }).sort();
      return logs.map((path) => `--- ${host.name} ${path}\n${tail(join(folder, path))}`);
    })
    .join("\n");
}

function tail(path: string): string {
  try {
    const file = openSync(path, "r");
    try {
      const size = fstatSync(file).size;
      const bytes = Buffer.alloc(Math.min(TAIL_BYTES, size));
      readSync(file, bytes, 0, bytes.length, size - bytes.length);
      return bytes.toString();
    } finally {
      closeSync(file);
    }
  } catch {
    return "(no log)";
  }
}
