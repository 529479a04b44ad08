/**
 * Writes a file durably and kills itself before one call to the kernel: `killed-writer.ts PATH CONTENT KIND CALL`. With
 * `half` for CALL it dies in the middle of the write. Prints how many calls there are.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const [path = "", content = "", kind = "sync", chosen = ""] = process.argv.slice(2);
let calls = 0;
let armed = false;

function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

type Call = (...args: unknown[]) => unknown;

function watched(owner: Record<string, unknown>, name: string): void {
  const original = owner[name] as Call;
  owner[name] = function (this: unknown, ...args: unknown[]): unknown {
    if (!armed) return original.apply(this, args);
    if (String(calls) === chosen) die();
    calls += 1;
    if (chosen === "half" && name === "writeSync") {
      original.call(this, args[0], (args[1] as Uint8Array).subarray(0, 10));
      die();
    }
    if (chosen === "half" && name === "writeFile") {
      void (original.call(this, String(args[0]).slice(0, 10)) as Promise<void>).then(die);
      return new Promise(() => {});
    }
    const result = original.apply(this, args);
    if (!(result instanceof Promise) || name !== "open") return result;
    return result.then((handle: Record<string, unknown>) => {
      watchHandle(handle);
      return handle;
    });
  };
}

function watchHandle(handle: Record<string, unknown>): void {
  for (const name of ["chmod", "writeFile", "sync", "close"]) watched(handle, name);
}

const sync = fs as unknown as Record<string, unknown>;
const promises = fs.promises as unknown as Record<string, unknown>;
for (const name of ["openSync", "writeSync", "fsyncSync", "closeSync", "renameSync"]) watched(sync, name);
for (const name of ["open", "rename"]) watched(promises, name);
syncBuiltinESMExports();

const { writeStateFile, writeStateFileSync } = await import("../src/state-file.ts");
armed = true;
if (kind === "sync") writeStateFileSync(path, { term: 2, note: content });
else await writeStateFile(path, { term: 2, note: content });
armed = false;
process.stdout.write(String(calls));
