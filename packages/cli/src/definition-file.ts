import { readFileSync, statSync } from "node:fs";
import { DEFINITION_LIMIT_BYTES, QuorateError } from "@quorate/contracts";

const HINT = "Name a file with a domain's XML, as virsh dumpxml prints it.";

/** A machine's XML from a file. Looks before it reads: a device is without end. Throws QuorateError DEFINITION_BROKEN. */
export function readDefinitionFile(file: string): string {
  try {
    const status = statSync(file);
    if (!status.isFile()) throw broken(`${file} is no regular file.`);
    refuseTooLarge(file, status.size);
    return decoded(file, readFileSync(file));
  } catch (error) {
    if (error instanceof QuorateError) throw error;
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    throw broken(`${file} cannot be read: ${why}.`);
  }
}

/** Its digest is its name on every host: nothing in it is guessed. */
function decoded(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const hint = `Convert it, with what it is written in: iconv -f ISO-8859-1 -t UTF-8 ${file}`;
    throw new QuorateError("DEFINITION_BROKEN", `${file} is not UTF-8.`, hint);
  }
}

/** A node that finds fault with a definition does not know where it is from: its place is named by that. */
export async function whereItIs<Answer>(what: string, asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof QuorateError) || error.code !== "DEFINITION_BROKEN") throw error;
    const message = error.message.replace(/^the definition(?=:)/, () => what);
    throw new QuorateError(error.code, message, error.hint, { cause: error });
  }
}

/** A node would refuse it too, but cannot say of what it is. Throws QuorateError DEFINITION_BROKEN. */
export function refuseTooLarge(what: string, bytes: number): void {
  if (bytes <= DEFINITION_LIMIT_BYTES) return;
  const size = bytes < 1024 ** 2 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / 1024 ** 2)} MiB`;
  throw broken(`${what} has ${size}; a definition has ${DEFINITION_LIMIT_BYTES / 1024} KiB at the most.`);
}

function broken(message: string): QuorateError {
  return new QuorateError("DEFINITION_BROKEN", message, HINT);
}
