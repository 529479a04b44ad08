import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../../..");

function markdownIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes("/node_modules/"))
    .sort();
}

/** As GitHub makes them of headings. */
function anchorsOf(path: string): string[] {
  const text = readFileSync(path, "utf8").replaceAll(/^( *)```[^]*?^\1```/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

const pages = [
  join(root, "README.md"),
  ...markdownIn(join(root, "docs")),
  ...markdownIn(join(root, "deploy")),
];

describe("the documents' links", () => {
  it.each(pages.map((page) => relative(root, page)))("of %s lead somewhere", (page) => {
    const text = readFileSync(join(root, page), "utf8").replaceAll(/^( *)```[^]*?^\1```/gm, "");
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? "")
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file = "", anchor] = link.split("#");
        const target = file === "" ? join(root, page) : resolve(root, dirname(page), file);
        if (!existsSync(target)) return true;
        return (
          anchor !== undefined && (statSync(target).isDirectory() || !anchorsOf(target).includes(anchor))
        );
      });
    expect(broken).toEqual([]);
  });
});
