// Judges each package.json against the table of the architecture page ("from | may import"). turbo boundaries sees to
// it that an import is a dependency; this sees to it that a dependency is allowed, also one from the registry.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = process.env.QUORATE_ROOT ?? dirname(dirname(import.meta.dirname));

const cores = ["core-config", "core-failover", "core-membership", "core-quorum"];
const shellKit = ["zod", "nats", "fastify", "@fastify/", "pino", "prom-client", "tinyexec"];
const ofService = (core: string) => ({
  rooms: ["contracts", "corosync-conf", "host", "runtime", core],
  registry: ["zod"],
});

/** A registry name that ends in "/" stands for its whole scope. */
const allowed: Readonly<
  Record<string, { readonly rooms: readonly string[]; readonly registry: readonly string[] }>
> = {
  "packages/contracts": { rooms: [], registry: ["zod"] },
  "packages/corosync-conf": { rooms: ["contracts"], registry: [] },
  "packages/core-config": { rooms: ["contracts"], registry: [] },
  "packages/core-failover": { rooms: ["contracts"], registry: [] },
  "packages/core-membership": { rooms: ["contracts"], registry: [] },
  "packages/core-quorum": { rooms: ["contracts"], registry: [] },
  "packages/runtime": { rooms: ["contracts"], registry: shellKit },
  // libvirt speaks XML.
  "packages/host": { rooms: ["contracts"], registry: [...shellKit, "@xmldom/"] },
  "packages/cli": {
    rooms: ["contracts", "corosync-conf", "journal-file", "runtime", "sim", ...cores],
    registry: ["commander", "@bomb.sh/tab", "zod"],
  },
  "packages/console": { rooms: ["contracts"], registry: ["preact", "@preact/", "uplot"] },
  "packages/journal-file": { rooms: ["contracts"], registry: ["zod"] },
  "packages/lab": {
    rooms: ["contracts", "corosync-conf", "runtime"],
    registry: ["commander", "tinyexec", "zod"],
  },
  "packages/sim": { rooms: ["contracts", "corosync-conf", "host", ...cores], registry: ["zod"] },
  "services/config-distributor": ofService("core-config"),
  "services/failover-actuator": ofService("core-failover"),
  "services/journal": { rooms: ["contracts", "journal-file", "runtime"], registry: ["zod"] },
  "services/membership": ofService("core-membership"),
  "services/quorum-evaluator": ofService("core-quorum"),
};

const faults: string[] = [];
for (const group of ["packages", "services"]) {
  for (const name of readdirSync(join(root, group)).sort()) {
    const path = `${group}/${name}`;
    const file = join(root, path, "package.json");
    if (!existsSync(file)) {
      continue;
    }
    const room = allowed[path];
    if (room === undefined) {
      faults.push(`${path}: this room is not in the table of deploy/checks/dependencies.ts`);
      continue;
    }
    const manifest = JSON.parse(readFileSync(file, "utf8")) as { dependencies?: Record<string, string> };
    for (const dependency of Object.keys(manifest.dependencies ?? {}).sort()) {
      const own = dependency.startsWith("@quorate/");
      const isAllowed = own
        ? room.rooms.includes(dependency.slice("@quorate/".length))
        : room.registry.some((entry) =>
            entry.endsWith("/") ? dependency.startsWith(entry) : dependency === entry,
          );
      if (!isAllowed) {
        const list =
          [...room.rooms.map((entry) => `@quorate/${entry}`), ...room.registry].join(", ") || "nothing";
        faults.push(`${path}/package.json: ${dependency} is not for this room. It may use: ${list}`);
      }
    }
    const tags = readTags(join(root, path, "turbo.json"));
    if (tags.length !== 1 || tags[0] !== name) {
      faults.push(
        `${path}/turbo.json: its tags must be ["${name}"]; without it turbo boundaries lets all through`,
      );
    }
  }
}

function readTags(file: string): readonly string[] {
  if (!existsSync(file)) {
    return [];
  }
  return (JSON.parse(readFileSync(file, "utf8")) as { tags?: string[] }).tags ?? [];
}

if (faults.length > 0) {
  process.stdout.write(`${faults.join("\n")}\n`);
  process.exitCode = 1;
}
