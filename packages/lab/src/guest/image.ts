/**
 * What the lab's guests boot: Debian's cloud kernel (the set-up fetched it) and a first root file system of our own,
 * with busybox, this machine's perl and the server (assets/guest-server.pl). Nothing else: a guest's only disk is the
 * one on which it counts.
 */
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import { command } from "../command.ts";
import { type ArchiveEntry, cpioArchive } from "./cpio.ts";

const ASSETS = join(import.meta.dirname, "../../assets");

/** In the order in which they need each other. */
const MODULES = [
  ...["failover", "net_failover", "virtio_ring", "virtio"],
  ...["virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_net", "virtio_blk"],
  ...["button", "evdev"],
];

/** What a lab with guests calls, as the command line names it. */
export const GUEST_PROGRAMS = ["libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "qemu-nbd", "busybox"];

export const KERNEL_FILE = "vmlinuz";
export const INITRD_FILE = "initrd";

/** TOOL_MISSING, naming all that is missing, unless this machine can run guests. */
export function requireGuestTools(root: string): void {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  const missing: string[] = GUEST_PROGRAMS.filter(
    (program) => !folders.some((folder) => existsSync(join(folder, program))),
  );
  if (!existsSync(join(kernelFolder(root), "version"))) missing.push("the guests' kernel");
  if (missing.length === 0) return;
  throw new QuorateError(
    "TOOL_MISSING",
    `a lab with virtual machines needs ${missing.join(", ")}`,
    "Run as root: npm run setup -- --vms",
  );
}

/** Writes the kernel and the first root file system into `folder`. */
export async function buildGuestImage(root: string, folder: string): Promise<void> {
  requireGuestTools(root);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(kernelFolder(root), KERNEL_FILE), join(folder, KERNEL_FILE));
  const initrd = await buildInitrd(root, {
    init: readFileSync(join(ASSETS, "guest-init.sh")),
    modules: MODULES,
    programs: ["perl"],
    files: [{ path: "server.pl", content: readFileSync(join(ASSETS, "guest-server.pl")) }],
  });
  writeFileSync(join(folder, INITRD_FILE), initrd);
}

export interface InitrdParts {
  /** PID 1; `/modules/order` names what it has to load. */
  readonly init: Buffer;
  /** In the order in which they need each other. One that the kernel has built in is left out. */
  readonly modules: readonly string[];
  /** This machine's, by name or path; each comes with its libraries as `/bin/NAME`, beside busybox. */
  readonly programs: readonly string[];
  readonly files: readonly { path: string; content: Buffer }[];
}

/** A first root file system for the guests' kernel. */
export async function buildInitrd(root: string, parts: InitrdParts): Promise<Buffer> {
  const modules = moduleFiles(join(kernelFolder(root), "modules"), parts.modules);
  const programs = await Promise.all(parts.programs.map((program) => withLibraries(program)));
  const files = [
    { path: "init", content: parts.init },
    ...parts.files,
    { path: "modules/order", content: Buffer.from(modules.map(({ name }) => `${name}\n`).join("")) },
    ...modules.map(({ name, content }) => ({ path: `modules/${name}.ko`, content })),
    { path: "bin/busybox", content: readFileSync(await whichProgram("busybox")) },
    // What two of them load is there once.
    ...new Map(programs.flat().map((file) => [file.path, file])).values(),
  ];
  return cpioArchive(entriesOf(files));
}

/** Where the set-up has put the guests' kernel. */
export function kernelFolder(root: string): string {
  return join(root, ".toolchain/guest-kernel");
}

function moduleFiles(tree: string, names: readonly string[]): { name: string; content: Buffer }[] {
  const builtIn = readFileSync(join(tree, "modules.builtin"), "utf8");
  return names
    .filter((name) => !builtIn.includes(`/${name}.ko`))
    .map((name) => {
      const [found] = globSync(`kernel/**/${name}.ko`, { cwd: tree });
      if (found === undefined) {
        throw new QuorateError(
          "TOOL_FAILED",
          `the guests' kernel has no module ${name}.ko`,
          "Remove .toolchain/guest-kernel and run as root: npm run setup -- --vms",
        );
      }
      return { name, content: readFileSync(join(tree, found)) };
    });
}

async function whichProgram(name: string): Promise<string> {
  return (await command(["sh", "-c", `command -v ${name}`])).trim();
}

/** A program of this machine and the libraries that it loads, where it expects them. */
async function withLibraries(name: string): Promise<{ path: string; content: Buffer }[]> {
  const program = await whichProgram(name);
  const lines = (await command(["ldd", program])).split("\n");
  // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader without an arrow.
  const libraries = lines.flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  return [
    { path: `bin/${basename(program)}`, content: readFileSync(program) },
    ...libraries.map((path) => ({ path: path.slice(1), content: readFileSync(path) })),
  ];
}

function entriesOf(files: readonly { path: string; content: Buffer }[]): ArchiveEntry[] {
  const folders = new Set(["dev", "proc", "sys"]);
  for (const { path } of files) {
    const parents = dirname(path)
      .split("/")
      .filter((part) => part !== ".");
    for (let depth = 1; depth <= parents.length; depth += 1) folders.add(parents.slice(0, depth).join("/"));
  }
  return [
    ...[...folders].sort().map((path) => ({ kind: "directory" as const, path })),
    // Before anything is mounted, what PID 1 says goes here.
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    ...files.map(({ path, content }) => ({ kind: "file" as const, path, content })),
  ];
}
