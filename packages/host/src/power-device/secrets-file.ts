import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { QuorateError } from "@quorate/contracts";

const LINE = /^([A-Za-z][A-Za-z0-9_-]{0,63})=(.*)$/;
const MOST_BYTES = 65_536;

/**
 * `key=value` lines for a fence agent. The file is this user's (root's) alone and no symbolic link. Throws
 * SECRETS_INVALID, whose words never repeat what stands in the file.
 */
export function readSecrets(path: string): ReadonlyMap<string, string> {
  const text = readPrivate(path);
  const secrets = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/\r$/, "");
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, key, value] = LINE.exec(line) ?? [];
    if (key === undefined || value === undefined || key === "action")
      throw invalid(`${path}:${index + 1} is no key=value line of an agent's parameter.`);
    secrets.set(key, value);
  }
  return secrets;
}

function readPrivate(path: string): string {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw invalid(`${path} cannot be opened: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`);
  }
  try {
    const { mode, uid, size } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw invalid(`${path} is no plain file.`);
    if ((mode & 0o077) !== 0)
      throw invalid(`${path} has the mode ${(mode & 0o777).toString(8)}: others may read it.`);
    if (uid !== process.geteuid?.()) throw invalid(`${path} belongs to another user (${uid}).`);
    if (size > MOST_BYTES) throw invalid(`${path} is larger than ${MOST_BYTES} bytes.`);
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

function invalid(message: string): QuorateError {
  return new QuorateError(
    "SECRETS_INVALID",
    message,
    "Write key=value lines into it, as root, with mode 0600 (chmod 600), on every node that may lead.",
  );
}
