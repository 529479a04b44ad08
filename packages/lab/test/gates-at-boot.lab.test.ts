import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildInitrd, KERNEL_FILE, kernelFolder, requireGuestTools } from "../src/guest/image.ts";
import { ROOT } from "./stand-in-plan.ts";

const UNITS = "etc/systemd/system";
/** As of an early boot: they say only that they are there. */
const TARGETS = ["sysinit", "basic", "sockets", "network", "local-fs", "shutdown"];
const WANTED = ["nftables.service", "libvirtd.socket", "libvirtd.service", "quorate.service"];

const service = (...lines: string[]) => `[Service]\nType=oneshot\n${lines.join("\n")}\n`;
const slowly = (text: string) => `/bin/sh -c 'sleep 1; echo "seen: ${text}" > /dev/console'`;
const say = (text: string) => `/bin/sh -c 'echo "seen: ${text}" > /dev/console'`;

/** The unit as it is delivered, with the loading of the gates taken for two seconds; everything else a stand-in. */
function units(): Record<string, string> {
  const slow = `/bin/sh -c 'echo "seen: gates begin" > /dev/console; sleep 2; echo "seen: gates end" > /dev/console'`;
  return {
    ...Object.fromEntries(TARGETS.map((name) => [`${name}.target`, "[Unit]\nDefaultDependencies=no\n"])),
    "multi-user.target": `[Unit]\nWants=quorate-gates.service ${WANTED.join(" ")}\n`,
    "quorate-gates.service": readFileSync(join(ROOT, "deploy/systemd/quorate-gates.service"), "utf8"),
    "quorate-gates.service.d/slow.conf": `[Service]\nEnvironmentFile=\nExecStart=\nExecStart=${slow}\n`,
    "nftables.service": `[Unit]\nDefaultDependencies=no\n${service(`ExecStart=${slowly("nftables")}`)}`,
    "libvirtd.socket": `[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/libvirt.sock\nExecStartPost=${say("socket")}\n`,
    "libvirtd.service": service(`ExecStart=${say("libvirtd")}`),
    "quorate.service": service(`ExecStart=${say("quorate")}`),
    "over.service": `[Unit]\nAfter=${WANTED.join(" ")}\n${service("ExecStart=/bin/busybox poweroff -f")}`,
  };
}

let folder: string;

// The guests' kernel is Debian's for x86-64.
describe.runIf(process.arch === "x64")("a host that boots", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "quorate-boot-"));
    requireGuestTools(ROOT);
    const busybox = readFileSync("/bin/busybox");
    const initrd = await buildInitrd(ROOT, {
      init: Buffer.from("#!/bin/sh\nexec /bin/systemd --unit=over.service\n"),
      modules: [],
      programs: ["/lib/systemd/systemd"],
      files: [
        { path: "bin/sh", content: busybox },
        { path: "bin/sleep", content: busybox },
        { path: "var/lib/quorate/.keep", content: Buffer.alloc(0) },
        { path: "etc/quorate/.keep", content: Buffer.alloc(0) },
        ...Object.entries(units()).map(([name, text]) => ({
          path: `${UNITS}/${name}`,
          content: Buffer.from(
            name === "over.service" ? text.replace("[Unit]", "[Unit]\nWants=multi-user.target") : text,
          ),
        })),
      ],
    });
    writeFileSync(join(folder, "initrd"), initrd);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("has loaded the machines' gates before libvirt's sockets and daemon, and after the ruleset was flushed", async () => {
    const options = ["-accel", "tcg", "-cpu", "max", "-m", "1024", "-nodefaults", "-display", "none"];
    const kernel = ["-kernel", join(kernelFolder(ROOT), KERNEL_FILE), "-initrd", join(folder, "initrd")];
    const words = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check systemd.log_target=console";
    const guest = spawn("qemu-system-x86_64", [
      ...options,
      ...kernel,
      ...["-serial", "stdio", "-append", words, "-no-reboot"],
    ]);
    let console = "";
    const keep = (text: string) => {
      console += text;
    };
    guest.stdout.setEncoding("utf8").on("data", keep);
    guest.stderr.setEncoding("utf8").on("data", keep);
    try {
      await once(guest, "exit");
    } finally {
      guest.kill("SIGKILL");
    }
    const said = console.split("\n").flatMap((line) => /seen: (.*?)\r?$/.exec(line)?.[1] ?? []);
    expect(said.slice(0, 3), console).toEqual(["nftables", "gates begin", "gates end"]);
    expect(said.slice(3).toSorted(), console).toEqual(["libvirtd", "quorate", "socket"]);
  });
});
