#!/usr/bin/env node
// Starts the lab's command line, with the toolchain's Node when the running one cannot run TypeScript.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const major = Number(process.versions.node.split(".")[0]);
if (major >= 24) {
  await import(main);
} else {
  const node = fileURLToPath(new URL("../../../.toolchain/node_modules/.bin/node", import.meta.url));
  if (!existsSync(node)) {
    console.error("quorate-lab: Node 24 or newer is needed. Run: npm run setup");
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // The terminal sends Ctrl-C to the child too; we only stay until it has tidied up.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code) => process.exit(code ?? 1));
}
