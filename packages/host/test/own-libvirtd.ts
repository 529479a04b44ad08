import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostContext } from "../src/index.ts";
import { monotonicNowUs } from "../src/index.ts";
import { runTool, runToolOrThrow } from "../src/tools/run-tool.ts";

/**
 * In namespaces of its own: libvirtd with empty folders, nothing of the machine's. PID 1 of it reaps, and its end takes
 * every QEMU along.
 */
const SCRIPT = `
set -eu
mount -t tmpfs tmpfs "$WORK"
for folder in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /run; do
  mkdir -p "$WORK$folder" "$folder"
  mount --bind "$WORK$folder" "$folder"
done
mkdir -p "$WORK/accounts"
for file in passwd group; do cp "/etc/$file" "$WORK/accounts/$file"; done
grep -q '^libvirt-qemu:' /etc/group || echo 'libvirt-qemu:x:64055:' >> "$WORK/accounts/group"
grep -q '^libvirt-qemu:' /etc/passwd || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >> "$WORK/accounts/passwd"
for file in passwd group; do mount --bind "$WORK/accounts/$file" "/etc/$file"; done
# A /dev without kvm: one that opens and yet runs no guest makes libvirt probe QEMU anew at each start, for seconds.
mkdir "$WORK/dev"
for device in null zero full random urandom tty; do
  touch "$WORK/dev/$device"
  mount --bind "/dev/$device" "$WORK/dev/$device"
done
mkdir "$WORK/dev/net" "$WORK/dev/pts" "$WORK/dev/shm"
touch "$WORK/dev/net/tun"
mount --bind /dev/net/tun "$WORK/dev/net/tun"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$WORK/dev/pts"
ln -s pts/ptmx "$WORK/dev/ptmx"
mount --rbind "$WORK/dev" /dev
cat > /etc/libvirt/libvirtd.conf <<'CONF'
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
auth_unix_rw = "none"
host_uuid = "$UUID"
CONF
cat > /etc/libvirt/qemu.conf <<'CONF'
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
CONF
echo "$NAME" > /proc/sys/kernel/hostname
ip link set lo up
ip link add vmbr0 type bridge
ip link set vmbr0 up
libvirtd --listen &
echo $! > "$WORK/libvirtd.pid"
echo "pid $$ libvirtd $!"
wait $! || true
# Kept without it: guests outlive their manager.
while :; do sleep 3600 & wait $! || true; done
`;

export interface OwnLibvirtd {
  readonly context: HostContext;
  /** Among its processes too. */
  readonly insideContext: HostContext;
  readonly libvirtdPid: number;
  /** Its first process, as it is called outside: names its network namespace. */
  readonly pid: number;
  end(): Promise<void>;
}

let counter = 0;

/** Resolves when it answers. */
export async function startLibvirtd(): Promise<OwnLibvirtd> {
  counter += 1;
  const name = `own${counter}`;
  const work = mkdtempSync(join(tmpdir(), "own-libvirtd-"));
  const script = join(work, "run.sh");
  // Libvirt takes a move to a host of the same UUID or name for one to itself.
  const text = SCRIPT.replaceAll("$WORK", join(work, "root")).replaceAll("$UUID", randomUUID());
  writeFileSync(script, text.replaceAll("$NAME", name));
  await runTool({ nowUs: monotonicNowUs }, ["mkdir", "-p", join(work, "root")]);
  const flags = [
    "--net",
    "--mount",
    "--uts",
    "--pid",
    "--fork",
    "--kill-child=KILL",
    "--propagation",
    "private",
  ];
  const child = spawn("unshare", [...flags, "--mount-proc", "sh", script], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const inner = await innerPid(child);
  const context: HostContext = {
    nowUs: monotonicNowUs,
    // Not its process namespace: nsenter would stay between us and what it started, which outlives it when killed.
    commandPrefix: ["nsenter", "-t", String(inner), "-m", "-n"],
  };
  await answering(context);
  const found = await runTool({ nowUs: monotonicNowUs }, ["pgrep", "-P", String(inner), "-x", "libvirtd"]);
  return {
    context,
    insideContext: {
      nowUs: monotonicNowUs,
      commandPrefix: ["nsenter", "-t", String(inner), "-m", "-n", "-p"],
    },
    libvirtdPid: Number(found.output),
    pid: inner,
    end: async () => {
      const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
      process.kill(inner, "SIGKILL");
      await gone;
      rmSync(work, { recursive: true, force: true });
    },
  };
}

/** A cable between two: 10.77.0.1 and 10.77.0.2. */
export async function connect(first: OwnLibvirtd, second: OwnLibvirtd): Promise<void> {
  const here: HostContext = { nowUs: monotonicNowUs };
  const [one, two] = [String(first.pid), String(second.pid)];
  const ends = ["move0", "netns", one, "type", "veth", "peer", "name", "move0", "netns", two];
  await runToolOrThrow(here, ["ip", "link", "add", ...ends]);
  for (const [{ context }, address] of [
    [first, "10.77.0.1/24"],
    [second, "10.77.0.2/24"],
  ] as const) {
    await runToolOrThrow(context, ["ip", "addr", "add", address, "dev", "move0"]);
    await runToolOrThrow(context, ["ip", "link", "set", "move0", "up"]);
  }
}

/** The first process of the new namespace, as it is called out here. */
async function innerPid(child: ChildProcess): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("close", () => reject(new Error("libvirtd's namespace ended")));
  });
  const { output } = await runTool({ nowUs: monotonicNowUs }, ["pgrep", "-P", String(child.pid)]);
  return Number(output.trim().split("\n")[0]);
}

async function answering(context: HostContext): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const { exitCode } = await runTool(context, ["virsh", "-q", "-c", "qemu:///system", "list"], {
      timeoutMs: 20_000,
    });
    if (exitCode === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("libvirtd does not answer");
}
