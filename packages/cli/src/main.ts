import { basename } from "node:path";
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
const exit = await runCommand(calledAs, process.argv.slice(2));
process.exit(exit);
