import { closeSync, constants, fstatSync, lstatSync, openSync, statSync } from "node:fs";
import path from "node:path";
import { QuorateError } from "@quorate/contracts";

/**
 * Opens the folder of a path, component by component, without following a symbolic link that somebody else could have
 * placed. Links that only root can have made (as /var/run) are followed. Names inside are then reached through the
 * open folder (`/proc/self/fd/N/name`), so that exchanging a folder afterwards changes nothing. Blocks: these are a
 * dozen calls that never leave memory, and handing each to another thread took a busy host 40 ms of a failover.
 * Answers a descriptor that the caller closes.
 */
export function openFolderSafely(folder: string): number {
  if (!path.isAbsolute(folder)) {
    throw new QuorateError(
      "CONFIG_INVALID",
      `"${folder}" is not an absolute path.`,
      "Write the path from / on.",
    );
  }
  let handle = openSync("/", constants.O_RDONLY | constants.O_DIRECTORY);
  let walked = "/";
  for (const name of folder.split("/").filter((part) => part !== "" && part !== ".")) {
    const parent = handle;
    try {
      handle = openBelow(parent, name, path.join(walked, name));
    } finally {
      closeSync(parent);
    }
    walked = path.join(walked, name);
  }
  return handle;
}

/** The path of a name inside an open folder. */
export function below(folder: number, name: string): string {
  return `/proc/self/fd/${folder}/${name}`;
}

export function symlinkRefused(where: string): QuorateError {
  return new QuorateError(
    "SYMLINK_REFUSED",
    `${where} is a symbolic link that another user could have placed.`,
    `Look where it leads and who made it (ls -l ${where}), remove it, or configure a path in a folder of root's alone.`,
  );
}

function openBelow(parent: number, name: string, where: string): number {
  if (name === "..")
    throw new QuorateError("CONFIG_INVALID", `${where} contains "..".`, "Write the path straight.");
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  const target = below(parent, name);
  try {
    return openSync(target, flags | constants.O_NOFOLLOW);
  } catch (error) {
    const code = codeOf(error);
    // Linux says ENOTDIR of a link when both flags are given.
    if (code !== "ELOOP" && code !== "ENOTDIR") throw fileError(error, where);
    if (!isTrustedLink(parent, target))
      throw isLink(target) ? symlinkRefused(where) : fileError(error, where);
    return openSync(target, flags);
  }
}

function isLink(target: string): boolean {
  return lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Made by root, in a folder where only root can make or exchange anything. */
function isTrustedLink(parent: number, target: string): boolean {
  const [folder, link] = [fstatSync(parent), lstatSync(target)];
  if (!link.isSymbolicLink()) return false;
  const others = constants.S_IWGRP | constants.S_IWOTH;
  return link.uid === 0 && folder.uid === 0 && (folder.mode & others) === 0 && statSync(target).isDirectory();
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Gives a file system error a code and a remedy. */
export function fileError(error: unknown, where: string): unknown {
  switch (codeOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
    case "EROFS":
      return new QuorateError(
        "DISK_FULL",
        `${where} cannot be written: ${codeOf(error) === "EROFS" ? "the file system is read-only" : "no space is left"}.`,
        `Make room (df -h ${path.dirname(where)}), or configure a path elsewhere.`,
        { cause: error },
      );
    case "ELOOP":
      return symlinkRefused(where);
    case "EACCES":
    case "EPERM":
      return new QuorateError("NOT_ROOT", `${where} may not be used by this user.`, "Run this as root.", {
        cause: error,
      });
    case "ENOENT":
    case "ENOTDIR":
    case "EISDIR":
      return new QuorateError(
        "CONFIG_INVALID",
        `${where}: ${codeOf(error) === "ENOENT" ? "the folder does not exist" : "is not what it must be (folder or file)"}.`,
        "Create the folder, or correct the path in the configuration.",
        { cause: error },
      );
    default:
      return error;
  }
}
