import { basename } from "node:path";
import { isMainThread } from "node:worker_threads";
import { answerSeeds } from "@quorate/sim";
import { runCommand } from "./program.ts";

const calledAs = basename(process.env["QUORATE_CALLED_AS"] ?? process.argv[1] ?? "quorate").replace(
  /\.[mc]?[jt]s$/,
  "",
);
// A reader that has seen enough (head) closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
// Bundled into one file, this file is also what the simulator's threads run.
if (!isMainThread) answerSeeds();
else {
  const exitCode = await runCommand(calledAs, process.argv.slice(2));
  // Ends only when a slow reader of the pipe has it all.
  process.stdout.write("", () => process.exit(exitCode));
}
