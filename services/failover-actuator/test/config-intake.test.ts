import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterConfig } from "@quorate/contracts";
import { decodeText, documentDigest } from "@quorate/corosync-conf";
import { createLogger } from "@quorate/runtime";
import { expect, it } from "vitest";
import { ConfigIntake } from "../src/config-intake.ts";

const CORPUS = join(import.meta.dirname, "../../../packages/corosync-conf/test/corpus");
const logger = createLogger({ service: "failover-actuator", node: 4, level: "silent" });

function message(version: number, text: string, digest = documentDigest(text)) {
  return { stampUs: 0, ref: { term: 1, version, digest }, text };
}

function document(name: string): string {
  return decodeText(readFileSync(join(CORPUS, name)));
}

it("takes an old code page and host names, once each, and goes on after one that failed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-intake-"));
  try {
    const hostsFile = join(folder, "hosts");
    writeFileSync(hostsFile, "10.40.0.1 node1\n10.40.0.2 node2.example.org\n10.40.0.3 node3\n");
    const taken: ClusterConfig[] = [];
    let failing = true;
    const intake = new ConfigIntake({
      text: "",
      fileName: "running.conf",
      hostsFile,
      logger,
      configure: async (config) => {
        if (failing) throw new Error("no space left");
        taken.push(config);
      },
    });
    const named = document("host-names.conf");
    const oldPage = document("old-code-page.conf");
    await intake.take(message(1, `${named}\n`));
    failing = false;
    await intake.take(message(2, named));
    await intake.take(message(2, named));
    await intake.take(message(3, oldPage, "0".repeat(64)));
    await intake.take(message(3, oldPage));
    expect(taken.map(({ nodes }) => nodes[0]?.addresses[0])).toEqual(["10.40.0.1", expect.any(String)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
