import {
  DEFINITION_LIMIT_BYTES,
  DEFINITION_LIMIT_NAMESPACES,
  DEFINITION_LIMIT_TAGS,
  type QuorateError,
} from "@quorate/contracts";
import { describe, expect, it } from "vitest";
import { prepareDefinition, readDefinition } from "../src/index.ts";
import { definitionOf } from "./hypervisor-suite.ts";

const plain = definitionOf("vm1", 1);

function refusal(xml: string): string {
  try {
    readDefinition(xml, "f");
  } catch (error) {
    const { code, message } = error as QuorateError;
    return `${code} ${message}`;
  }
  return "read";
}

function withMetadata(content: string): string {
  return plain.replace("<devices>", `<metadata>${content}</metadata><devices>`);
}

describe("the size of a definition", () => {
  it("is limited in bytes, tags and namespaces, before anything is parsed", () => {
    const room = DEFINITION_LIMIT_BYTES - Buffer.byteLength(withMetadata(""));
    expect(refusal(withMetadata("x".repeat(room)))).toBe("read");
    const tooLarge = "DEFINITION_BROKEN f: it has 257 KiB; a definition has 256 KiB at the most.";
    expect(refusal(withMetadata("x".repeat(room + 1)))).toBe(tooLarge);
    // Bytes, not characters.
    expect(refusal(withMetadata("ä".repeat(room / 2 + 1)))).toBe(tooLarge);
    const tags = withMetadata("").split("<").length - 1;
    expect(refusal(withMetadata("<a/>".repeat(DEFINITION_LIMIT_TAGS - tags)))).toBe("read");
    // No XML at all: it did not come to that.
    expect(refusal("<".repeat(DEFINITION_LIMIT_TAGS + 1))).toContain("f: it has more than 4000 tags");
    const spaces = (count: number) => withMetadata("<a xmlns:b='c'/>".repeat(count));
    expect(refusal(spaces(DEFINITION_LIMIT_NAMESPACES))).toBe("read");
    expect(refusal(spaces(DEFINITION_LIMIT_NAMESPACES + 1))).toContain("64 declarations of namespaces");
    expect(() => prepareDefinition("<".repeat(900_000), { number: 1 })).toThrow("256 KiB at the most");
  });

  it("takes no more than a part of a lease, however much is nested in it", () => {
    const depth = DEFINITION_LIMIT_TAGS / 2 - 40;
    const spaces = Array.from({ length: DEFINITION_LIMIT_NAMESPACES }, (_, index) => ` xmlns:b${index}='c'`);
    const opened = Array.from({ length: depth }, (_, index) => `<a${spaces[index] ?? " a='b' c='d'"}>`);
    const xml = withMetadata(opened.join("") + "</a>".repeat(depth));
    const began = performance.now();
    expect(refusal(xml)).toBe("read");
    expect(refusal(withMetadata("<a/>".repeat(900_000)))).toContain("3516 KiB");
    // 15 ms on two cores that do nothing else; a fifth of a token of a second is 200.
    expect(performance.now() - began).toBeLessThan(200);
  });
});

describe("the UUID of a definition", () => {
  const uuid = "0f3a5b7c-9d1e-4f20-8a4b-6c8dae0f1234";
  const withUuid = (text: string) => plain.replace(/<uuid>.*<.uuid>/, `<uuid>${text}</uuid>`);

  it("is one, however it is written", () => {
    const forms = [uuid, uuid.toUpperCase(), uuid.replaceAll("-", ""), uuid.replace("-", ""), ` ${uuid}\n`];
    for (const form of forms) expect(readDefinition(withUuid(form), "f").uuid, form).toBe(uuid);
  });

  it("is asked for where there is none, and named where it is none", () => {
    expect(refusal(withUuid(""))).toMatch(/^DEFINITION_BROKEN f:1:\d+: vm1 has no UUID\.$/);
    expect(refusal(plain.replace(/<uuid>.*<.uuid>/, ""))).toContain("vm1 has no UUID");
    expect(refusal(withUuid("zzz"))).toMatch(/^DEFINITION_BROKEN f:1:\d+: "zzz" is no UUID\.$/);
  });
});

describe("a disk of a definition", () => {
  const disk = (attributes: string, source: string, more = "") =>
    `<disk ${attributes}><source ${source}/><target dev='vda'/>${more}</disk>`;
  const read = (xml: string) => readDefinition(definitionOf("a", 1, xml), "f").disks[0];

  it("is one machine's to write on, unless it says that it is shared or only read", () => {
    const network = (more: string, device = "disk") =>
      read(disk(`type='network' device='${device}'`, "protocol='nbd' name='a'", more))?.writing;
    expect(network("")).toBe("alone");
    expect(network("<shareable/>")).toBe("shareable");
    expect(network("<readonly/>")).toBe("none");
    expect(network("", "cdrom")).toBe("none");
    expect(read(disk("type='file'", "file='/a'", "<readonly/>"))).toBeUndefined();
  });

  it("is called by its pool too where it is a volume", () => {
    expect(read(disk("type='volume'", "pool='fast' volume='a.raw'"))?.source).toBe("fast/a.raw");
    expect(read(disk("type='block'", "dev='/dev/vg/a'"))?.source).toBe("/dev/vg/a");
    expect(read(disk("type='nvme'", "type='pci'"))?.source).toBe("?");
  });
});

describe("what a broken definition says of itself", () => {
  it("is quoted, short, and cannot act on a terminal", () => {
    const esc = "\u001b[2J";
    const named = refusal(plain.replace("<name>vm1", `<name>${esc}${"n".repeat(200)}`));
    expect(named).toContain(`"\\u001b[2J${"n".repeat(76)}…" cannot be a machine's name`);
    expect(refusal(plain.replace(/<uuid>.*<.uuid>/, "<uuid>a\u202eb</uuid>"))).toContain(
      '"a\\u202eb" is no UUID',
    );
    const tag = `${"t".repeat(500)}\u009b`;
    const mismatch = refusal(`<domain><${tag}></domain>`);
    expect(mismatch).toContain("invalid tagName");
    expect(mismatch.length).toBeLessThan(200);
    for (const said of [named, mismatch, refusal(`<domain>&${esc};</domain>`)])
      expect(said).not.toMatch(/\p{Cc}/u);
    const disk = "<disk type='file'><source file='/a&#155;b'/><target dev='vda'/></disk>";
    expect(readDefinition(definitionOf("a", 1, disk), "f").obstacles[0]).toContain("(/a\\u009bb)");
  });
});
