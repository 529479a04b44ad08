import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LogOutput } from "../src/log-output.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "logger-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a log line that cannot be written", () => {
  it("does not end the process that logs", async () => {
    const script = `
      import { createLogger } from ${JSON.stringify(join(import.meta.dirname, "../src/logger.ts"))};
      const logger = createLogger({ service: "test", node: 2 });
      for (let line = 0; line < 100; line += 1) logger.info({ line }, "to a disk without room");
      setTimeout(() => process.exit(5), 1);
    `;
    const full = openSync("/dev/full", "w");
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", full, "inherit"],
    });
    closeSync(full);
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(5);
  });

  it("is counted, and said as soon as one goes out again", () => {
    const path = join(folder, "log");
    const said: string[] = [];
    const lostLine = (count: number, why: string) => {
      said.push(why);
      return `lost ${count}\n`;
    };
    // A descriptor that is open for reading alone refuses, and takes writes once it is another file's.
    writeFileSync(path, "");
    const descriptor = openSync(path, "r");
    const output = new LogOutput(descriptor, lostLine);
    output.write("one\n");
    output.write("two\n");
    closeSync(descriptor);
    expect(openSync(path, "a")).toBe(descriptor);
    output.write("three\n");
    output.write("four\n");
    closeSync(descriptor);
    expect(readFileSync(path, "utf8")).toBe("lost 2\nthree\nfour\n");
    expect(new Set(said)).toEqual(new Set(["EBADF"]));
  });
});
