import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command } from "../src/command.ts";
import { buildInitrd, KERNEL_FILE, kernelFolder, requireGuestTools } from "../src/guest/image.ts";
import { ROOT } from "./stand-in-plan.ts";

const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs devtmpfs /dev
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
while read -r module; do $b insmod "/modules/$module.ko"; done < /modules/order
export PATH=/bin
node /watchdog.mjs first
node /watchdog.mjs second
echo "seen: over"
$b poweroff -f
`;

let folder: string;

// The guests' kernel is Debian's for x86-64.
describe.runIf(process.arch === "x64")("a host of its own with a watchdog", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "quorate-watchdog-"));
    requireGuestTools(ROOT);
    const script = join(folder, "watchdog.mjs");
    const bundle = [join(ROOT, "node_modules/.bin/rolldown"), "--platform", "node", "--format", "esm"];
    await command([...bundle, "--file", script, join(ROOT, "packages/host/test/watchdog-guest.ts")]);
    const initrd = await buildInitrd(ROOT, {
      init: Buffer.from(INIT),
      modules: ["watchdog", "softdog"],
      programs: [process.execPath, "wdctl"],
      files: [{ path: "watchdog.mjs", content: readFileSync(script) }],
    });
    writeFileSync(join(folder, "initrd"), initrd);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is reset when nobody feeds it, and not before; what is armed outlives its process and is taken over", async () => {
    const options = ["-accel", "tcg", "-cpu", "max", "-m", "1024", "-nodefaults", "-display", "none"];
    const kernel = ["-kernel", join(kernelFolder(ROOT), KERNEL_FILE), "-initrd", join(folder, "initrd")];
    const words = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check";
    // A reset ends it.
    const rest = ["-serial", "stdio", "-append", words, "-no-reboot"];
    const guest = spawn("qemu-system-x86_64", [...options, ...kernel, ...rest]);
    let console = "";
    let fedAtMs = Number.POSITIVE_INFINITY;
    guest.stdout.setEncoding("utf8").on("data", (text: string) => {
      console += text;
      if (console.includes("seen: fed")) fedAtMs = Math.min(fedAtMs, performance.now());
    });
    guest.stderr.setEncoding("utf8").on("data", (text: string) => {
      console += text;
    });
    try {
      await once(guest, "exit");
    } finally {
      guest.kill("SIGKILL");
    }
    const unfedMs = performance.now() - fedAtMs;
    const said = console.split("\n").flatMap((line) => /seen: (.*?)\r?$/.exec(line)?.[1] ?? []);
    expect(said, console).toEqual(["proved", "refused", "outlives its process", "taken over", "fed"]);
    expect(unfedMs).toBeGreaterThan(1500);
  });
});
