import { describe, expect, it } from "vitest";
import { judgeOperatorFile, type OperatorFileContent } from "../src/index.ts";
import { digestOf, documentText, modelTools, refOf } from "./model-document.ts";

const nodes = [{ id: 1, prio: 100 }];
const old = documentText(1, nodes, "old");
const running = documentText(2, nodes, "running");

function judge(content: OperatorFileContent, isCommitted = true) {
  const isKnownDigest = (digest: string) => [old, running].some((text) => digestOf(text) === digest);
  return judgeOperatorFile(
    { fileName: "cluster.conf", content, ref: refOf(1, running), text: running, isCommitted, isKnownDigest },
    modelTools,
  );
}

describe("the operator's file", () => {
  it("as it runs: nothing to do", () => {
    expect(judge({ kind: "text", text: running })).toEqual({ write: false, note: null });
  });

  it("old, missing, or the same but for its number: brought up to date, once that is committed", () => {
    const sameButNumber = documentText(1, nodes, "running");
    for (const content of [
      { kind: "missing" as const },
      ...[old, sameButNumber].map((text) => ({ kind: "text" as const, text })),
    ]) {
      expect(judge(content)).toEqual({ write: true, note: null });
      expect(judge(content, false)).toEqual({ write: false, note: null });
    }
  });

  it("edited: never overwritten, offered when it can be read, named with its place when it cannot", () => {
    const offered = judge({ kind: "text", text: documentText(1, nodes, "edited") });
    expect(offered).toMatchObject({ write: false, note: { code: "FILE_OFFERED" } });
    expect(offered.note?.message).toContain("quorate config apply cluster.conf");
    const broken = judge({ kind: "text", text: "rubbish" });
    expect(broken).toMatchObject({ write: false, note: { code: "FILE_BROKEN" } });
    expect(broken.note?.message).toContain("cluster.conf:1:1");
    expect(judge({ kind: "unreadable", message: "EACCES" })).toMatchObject({
      write: false,
      note: { code: "FILE_UNREADABLE" },
    });
  });
});
