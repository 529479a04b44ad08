import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { holdFolder } from "../src/folder-lock.ts";

test("a folder is held by one process at a time, under whatever path", async () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-lock-"));
  try {
    const first = await holdFolder(folder);
    await expect(holdFolder(`${folder}/.`)).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
    first.release();
    const second = await holdFolder(folder);
    second.release();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
