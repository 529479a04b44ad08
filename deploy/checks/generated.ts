// Sees that what is generated is what its generator writes: each workspace package with a script "generate" is asked.
// A generator prints nothing and writes its files; given --check it writes nothing and fails when one differs.
//   node deploy/checks/generated.ts          judge
//   node deploy/checks/generated.ts --write  write
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = dirname(dirname(import.meta.dirname));
const isWriting = process.argv.includes("--write");

let asked = 0;
for (const group of ["packages", "services"]) {
  for (const name of readdirSync(join(root, group)).sort()) {
    const folder = join(root, group, name);
    const file = join(folder, "package.json");
    if (!existsSync(file)) {
      continue;
    }
    const { scripts = {} } = JSON.parse(readFileSync(file, "utf8")) as { scripts?: Record<string, string> };
    if (scripts.generate === undefined) {
      continue;
    }
    asked += 1;
    const command = isWriting ? scripts.generate : `${scripts.generate} --check`;
    const end = spawnSync("sh", ["-c", command], { cwd: folder, stdio: "inherit" });
    if (end.status !== 0) {
      process.stdout.write(
        `${group}/${name}: ${isWriting ? "could not generate" : "generated files are out of date"}\n`,
      );
      process.exitCode = 1;
    }
  }
}
process.stdout.write(`${asked} generator${asked === 1 ? "" : "s"} asked\n`);
