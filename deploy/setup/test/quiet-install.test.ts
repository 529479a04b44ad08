// The set-up touches two things that belong to the machine: policy-rc.d and what starts at boot. Both must come back
// exactly, whatever ends the set-up.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  beginQuietInstall,
  bootLinks,
  disableNewBootLinks,
  hasQuietInstallRemains,
  recoverQuietInstall,
} from "../steps/quiet-install.mjs";

let machine = "";
let policy = "";

beforeEach(() => {
  machine = mkdtempSync(join(tmpdir(), "quorate-machine-"));
  policy = join(machine, "usr/sbin/policy-rc.d");
  mkdirSync(dirname(policy), { recursive: true });
});

afterEach(() => {
  rmSync(machine, { recursive: true, force: true });
});

function writeTheirPolicy(): void {
  writeFileSync(policy, "#!/bin/sh\n# theirs\nexit 104\n");
  chmodSync(policy, 0o751);
  utimesSync(policy, 1_000_000, 2_000_000);
}

function expectTheirPolicy(): void {
  expect(readFileSync(policy, "utf8")).toBe("#!/bin/sh\n# theirs\nexit 104\n");
  const status = lstatSync(policy);
  expect(status.mode & 0o7777).toBe(0o751);
  expect(status.mtimeMs).toBe(2_000_000_000);
  expect(status.nlink).toBe(1);
  expectNoRemains();
}

function expectNoRemains(): void {
  expect(hasQuietInstallRemains(machine)).toBe(false);
  const names = readdirSync(dirname(policy));
  expect(names.filter((name) => name !== "policy-rc.d")).toEqual([]);
  expect(existsSync(join(machine, "run/systemd/system-preset/00-quorate-setup.preset"))).toBe(false);
}

function inAnotherProcess(body: string): number | null {
  const module = join(import.meta.dirname, "../steps/quiet-install.mjs");
  const script = `import { beginQuietInstall } from ${JSON.stringify(module)};
const undo = beginQuietInstall(${JSON.stringify(machine)});
${body}`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" }).status;
}

describe("policy-rc.d", () => {
  test("refuses everything meanwhile, and the one that was there comes back as it was", () => {
    writeTheirPolicy();
    const undo = beginQuietInstall(machine);
    expect(spawnSync(policy, ["nats-server", "start"]).status).toBe(101);
    undo();
    expectTheirPolicy();
    undo();
    expectTheirPolicy();
  });

  test("where none was, none stays", () => {
    const undo = beginQuietInstall(machine);
    expect(spawnSync(policy, ["corosync", "start"]).status).toBe(101);
    undo();
    expect(existsSync(policy)).toBe(false);
    expectNoRemains();
  });

  test("a symlink comes back as a symlink, and what it leads to is not written", () => {
    writeFileSync(join(machine, "elsewhere"), "theirs");
    symlinkSync("../../elsewhere", policy);
    beginQuietInstall(machine)();
    expect(readlinkSync(policy)).toBe("../../elsewhere");
    expect(readFileSync(join(machine, "elsewhere"), "utf8")).toBe("theirs");
    expectNoRemains();
  });

  test.each([
    ["an error nobody caught", "throw new Error('planted');", 1],
    ["process.exit in the middle", "process.exit(7);", 7],
  ])("comes back after %s", (_what, body, exitCode) => {
    writeTheirPolicy();
    expect(inAnotherProcess(body)).toBe(exitCode);
    expectTheirPolicy();
  });

  test("after a SIGKILL the next set-up puts it back", () => {
    writeTheirPolicy();
    expect(inAnotherProcess("process.kill(process.pid, 'SIGKILL');")).toBe(null);
    expect(hasQuietInstallRemains(machine)).toBe(true);
    expect(spawnSync(policy).status).toBe(101);
    expect(recoverQuietInstall(machine)).toBe(true);
    expectTheirPolicy();
    expect(recoverQuietInstall(machine)).toBe(false);
  });

  test("after a SIGKILL, a second set-up that installs saves theirs, not ours", () => {
    writeTheirPolicy();
    inAnotherProcess("process.kill(process.pid, 'SIGKILL');");
    beginQuietInstall(machine)();
    expectTheirPolicy();
  });

  test("killed between saving and replacing: theirs is untouched", () => {
    writeTheirPolicy();
    linkSync(policy, `${policy}.before-quorate`);
    expect(recoverQuietInstall(machine)).toBe(true);
    expectTheirPolicy();
  });
});

describe("what starts at boot", () => {
  function writeLink(path: string, target: string): void {
    const link = join(machine, path);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(target, link);
  }

  test("new links go, those that were there stay", () => {
    writeLink("etc/systemd/system/multi-user.target.wants/ssh.service", "/lib/systemd/system/ssh.service");
    writeLink("etc/systemd/system/sshd.service", "/lib/systemd/system/ssh.service");
    writeLink("etc/rc3.d/S01dbus", "../init.d/dbus");
    const before = bootLinks(machine);
    writeLink(
      "etc/systemd/system/multi-user.target.wants/nats-server.service",
      "/lib/systemd/system/nats-server.service",
    );
    writeLink("etc/systemd/system/sockets.target.wants/some.socket", "/lib/systemd/system/some.socket");
    writeLink("etc/rc3.d/S01corosync", "../init.d/corosync");
    expect(disableNewBootLinks(before, machine)).toEqual(["corosync", "nats-server.service", "some.socket"]);
    expect(bootLinks(machine)).toEqual(before);
    expect(readlinkSync(join(machine, "etc/rc3.d/K01corosync"))).toBe("../init.d/corosync");
  });

  test("nothing new, nothing done", () => {
    writeLink("etc/rc3.d/S01dbus", "../init.d/dbus");
    expect(disableNewBootLinks(bootLinks(machine), machine)).toEqual([]);
  });
});
