import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeLockFile, FakeFiles } from "../src/lock-file/fake-lock-file.ts";
import type { LockFile } from "../src/lock-file/lock-file.ts";
import { createRealLockFile } from "../src/lock-file/real-lock-file.ts";

interface World {
  lock(): LockFile;
  /** What others put there. */
  put(text: string): void;
  putLink(): void;
  putUntrusted(text: string): void;
  fill(): void;
  end(): void;
}

function fakeWorld(): World {
  const files = new FakeFiles();
  const where = "/run/quorate/lock";
  return {
    lock: () => createFakeLockFile(files, where),
    put: (text) => files.put(where, text),
    putLink: () => files.put(where, "", "link"),
    putUntrusted: (text) => files.put(where, text, "untrusted"),
    fill: () => {
      files.full = true;
    },
    end: () => {},
  };
}

function realWorld(): World {
  const folder = mkdtempSync(path.join(tmpdir(), "quorate-lock-"));
  // A file system of its own, sticky and open to all as /tmp is.
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=1777", "none", folder]);
  const where = path.join(folder, ".lock.vmmgr.service");
  return {
    lock: () => createRealLockFile(where),
    put: (text) => writeFileSync(where, text),
    putLink: () => symlinkSync(path.join(folder, "elsewhere"), where),
    putUntrusted: (text) => {
      writeFileSync(where, text);
      chownSync(where, 65_534, 65_534);
    },
    fill: () => {
      try {
        writeFileSync(path.join(folder, "big"), Buffer.alloc(1_000_000));
      } catch {
        // Full now, as wanted.
      }
    },
    end: () => {
      execFileSync("umount", [folder]);
      rmSync(folder, { recursive: true });
    },
  };
}

describe.each([
  ["fake", fakeWorld],
  ["real", realWorld],
] as const)("the %s lock file", (_name, makeWorld) => {
  let world: World;
  beforeEach(() => {
    world = makeWorld();
  });
  afterEach(() => world.end());

  test("is absent, written, replaced, read back by another process, and removed", async () => {
    expect(await world.lock().read()).toEqual({ kind: "absent" });
    await world.lock().write({ term: 7, node: 4 });
    expect(await world.lock().read()).toEqual({ kind: "ours", content: { term: 7, node: 4 } });
    await world.lock().write({ term: 8, node: 2 });
    expect(await world.lock().read()).toEqual({ kind: "ours", content: { term: 8, node: 2 } });
    await world.lock().remove();
    await world.lock().remove();
    expect(await world.lock().read()).toEqual({ kind: "absent" });
  });

  test.each(["", "relocated\n", "{", "12", "null", '{"term":-1,"node":1}', '{"node":1}'])(
    "somebody else's text %j is present without a term",
    async (text) => {
      world.put(text);
      expect(await world.lock().read()).toEqual({ kind: "foreign" });
      await world.lock().write({ term: 1, node: 1 });
      expect(await world.lock().read()).toMatchObject({ kind: "ours" });
    },
  );

  test("a symbolic link is refused, for reading, writing and removing", async () => {
    world.putLink();
    const refused = { code: "SYMLINK_REFUSED" };
    await expect(world.lock().read()).rejects.toMatchObject(refused);
    await expect(world.lock().write({ term: 1, node: 1 })).rejects.toMatchObject(refused);
    await expect(world.lock().remove()).rejects.toMatchObject(refused);
  });

  test("another user's file counts for nothing", async () => {
    world.putUntrusted('{"term":1,"node":1}');
    expect(await world.lock().read()).toEqual({ kind: "untrusted" });
    await world.lock().write({ term: 2, node: 1 });
    expect(await world.lock().read()).toMatchObject({ kind: "ours" });
  });

  test("a full disk is named, and what stood there stays", async () => {
    await world.lock().write({ term: 1, node: 1 });
    world.fill();
    await expect(world.lock().write({ term: 2, node: 1 })).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await world.lock().read()).toEqual({ kind: "ours", content: { term: 1, node: 1 } });
  });
});

describe("the real lock file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quorate-lock-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("leaves nothing but itself, readable by others", async () => {
    await createRealLockFile(path.join(folder, "lock")).write({ term: 1, node: 1 });
    expect(readdirSync(folder)).toEqual(["lock"]);
    expect(readFileSync(path.join(folder, "lock"), "utf8")).toBe('{"term":1,"node":1}\n');
  });

  test("a link where a folder should be is refused, unless only root can have made it", async () => {
    mkdirSync(path.join(folder, "real"));
    mkdirSync(path.join(folder, "open"));
    chmodSync(path.join(folder, "open"), 0o1777);
    symlinkSync(path.join(folder, "real"), path.join(folder, "open", "link"));
    symlinkSync(path.join(folder, "real"), path.join(folder, "link"));
    const planted = createRealLockFile(path.join(folder, "open", "link", "lock"));
    await expect(planted.write({ term: 1, node: 1 })).rejects.toMatchObject({ code: "SYMLINK_REFUSED" });
    expect(existsSync(path.join(folder, "real", "lock"))).toBe(false);
    await createRealLockFile(path.join(folder, "link", "lock")).write({ term: 1, node: 1 });
    expect(existsSync(path.join(folder, "real", "lock"))).toBe(true);
  });

  test("a missing folder, a folder in its place and a relative path are errors with a remedy", async () => {
    const wrong = { code: "CONFIG_INVALID" };
    await expect(createRealLockFile(path.join(folder, "no", "lock")).read()).rejects.toMatchObject(wrong);
    mkdirSync(path.join(folder, "lock"));
    await expect(
      createRealLockFile(path.join(folder, "lock")).write({ term: 1, node: 1 }),
    ).rejects.toMatchObject(wrong);
    await expect(createRealLockFile("lock").read()).rejects.toMatchObject(wrong);
    await expect(createRealLockFile(`${folder}/../lock`).read()).rejects.toMatchObject(wrong);
  });

  test("a named pipe in its place does not hold the reader up", async () => {
    execFileSync("mkfifo", [path.join(folder, "lock")]);
    expect(await createRealLockFile(path.join(folder, "lock")).read()).toEqual({ kind: "foreign" });
  });

  test("a link exchanged for the file again and again is never followed", async () => {
    const where = path.join(folder, "lock");
    const victim = path.join(folder, "victim");
    writeFileSync(victim, "precious");
    const lock = createRealLockFile(where);
    for (let round = 0; round < 50; round += 1) {
      const writing = lock.write({ term: round, node: 1 }).catch(() => undefined);
      symlinkSync(victim, `${where}.new`);
      renameSync(`${where}.new`, where);
      await writing;
      expect(readFileSync(victim, "utf8")).toBe("precious");
      if (existsSync(where)) unlinkSync(where);
    }
  });
});
