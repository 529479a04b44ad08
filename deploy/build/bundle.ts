// Makes one file of a service or a command line: `node bundle.ts` in its folder turns src/main.ts into dist/main.js.
// Bundles start faster and need a quarter less memory, and Node refuses to run TypeScript from a real node_modules.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { build } from "rolldown";

const folder = process.cwd();
const entry = join(folder, "src/main.ts");
if (!existsSync(entry)) {
  process.stderr.write(`nothing to bundle: ${entry} does not exist\n`);
  process.exit(1);
}
await build({
  input: entry,
  cwd: folder,
  platform: "node",
  logLevel: "warn",
  output: {
    file: join(folder, "dist/main.js"),
    format: "esm",
    sourcemap: true,
    // A lazy import would make a second file.
    codeSplitting: false,
  },
});
