import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeText, hostConfig } from "@quorate/corosync-conf";
import { expect, it } from "vitest";
import { loadDurableState } from "../src/durable-state.ts";

const OLD_CODE_PAGE = join(
  import.meta.dirname,
  "../../../packages/corosync-conf/test/corpus/old-code-page.conf",
);

it("without state names the running document as every other service does: by the bytes of its file", () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-evaluator-"));
  try {
    const bytes = readFileSync(OLD_CODE_PAGE);
    const text = decodeText(bytes);
    const config = hostConfig(text, "old-code-page.conf");
    const { durable, lost } = loadDurableState(folder, { config, text }, config.nodes[0]?.id ?? 0);
    expect(lost?.code).toBe("STATE_MISSING");
    expect(durable.stored.digest).toBe(createHash("sha256").update(bytes).digest("hex"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
