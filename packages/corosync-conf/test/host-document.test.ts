import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { documentDigest, hostConfig, readHostConfig, readSentDocument } from "../src/index.ts";
import { corpus } from "./corpus.ts";

let folder = "";
let hosts = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-hosts-"));
  hosts = join(folder, "hosts");
  writeFileSync(hosts, "10.40.0.1 node1\n10.40.0.2 node2.example.org node2\n10.40.0.3 node3\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string): { text: string; bytes: Uint8Array } {
  const found = corpus().find((each) => each.name === name);
  if (found === undefined) throw new Error(`no ${name} in the corpus`);
  return found;
}

describe("a document on a host", () => {
  it.each(corpus())("$name has the digest of its bytes, over JSON too", ({ bytes, text }) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    expect(documentDigest(text)).toBe(digest);
    const sent = JSON.parse(JSON.stringify({ ref: { digest }, text })) as {
      ref: { digest: string };
      text: string;
    };
    expect(documentDigest(sent.text)).toBe(digest);
  });

  it("in an old code page is taken as it was sent", () => {
    const { text } = file("old-code-page.conf");
    const ref = { digest: documentDigest(text) };
    expect(readSentDocument({ ref, text }, "f", hosts)?.config.clusterName).toBeTypeOf("string");
    expect(readSentDocument({ ref, text: `${text}\n` }, "f", hosts)).toBe(null);
  });

  it("with host names needs the table of this host, and says so when it is away", () => {
    const { text } = file("host-names.conf");
    expect(hostConfig(text, "f", hosts).nodes.map(({ addresses }) => addresses[0])).toEqual([
      "10.40.0.1",
      "10.40.0.2",
      "10.40.0.3",
    ]);
    expect(readSentDocument({ ref: { digest: documentDigest(text) }, text }, "f", hosts)).not.toBe(null);
    expect(readHostConfig(text, "f", join(folder, "none")).ok).toBe(false);
    expect(() => hostConfig(text, "f", join(folder, "none"))).toThrow(/node1.*\/etc\/hosts/);
  });
});
