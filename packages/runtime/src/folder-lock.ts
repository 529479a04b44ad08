import { statSync } from "node:fs";
import { createServer } from "node:net";
import { QuorateError } from "@quorate/contracts";

/**
 * Holds a folder for this process alone: two evaluators on one state would vote twice under one name. The
 * kernel lets go of it when the process ends, however it ends: an abstract socket named by the folder itself.
 * Throws QuorateError ALREADY_RUNNING. Not promised across network namespaces or hosts that share a disk.
 */
export async function holdFolder(path: string): Promise<{ release(): void }> {
  const { dev, ino } = statSync(path);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") {
        reject(error);
        return;
      }
      reject(
        new QuorateError(
          "ALREADY_RUNNING",
          `Another process works on ${path}.`,
          "One node, one state folder, one set of processes: `ps -ef | grep quorate` finds the others; end them or name another folder.",
          { cause: error },
        ),
      );
    });
    server.listen(`\0quorate-folder-${dev}-${ino}`, resolve);
  });
  server.unref();
  return { release: () => void server.close() };
}
