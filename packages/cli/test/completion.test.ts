/** The completion scripts are held against what `--help` says, and the one of bash is tried in a real bash. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EVENT_DOMAINS, EXIT_CODES } from "@quorate/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/program.ts";

async function said(...argv: string[]): Promise<string> {
  let text = "";
  const output = {
    write: (more: string) => {
      text += more;
    },
    complain: () => undefined,
    isTerminal: false,
  };
  expect(await runCommand("quorate", argv, output)).toBe(0);
  return text;
}

interface Described {
  path: string[];
  commands: string[];
  flags: string[];
}

/** All commands with their options, as the program's own help has them. */
async function describedBy(path: string[] = []): Promise<Described[]> {
  const help = await said(...path, "--help");
  const section = (title: string) => {
    const [, after = ""] = help.split(`${title}:\n`);
    return (after.split("\n\n")[0] ?? "")
      .split("\n")
      .flatMap((line) => /^ {2}(\S.*?)(?: {2}|$)/.exec(line)?.[1] ?? []);
  };
  const commands = section("Commands").flatMap((line) => line.split(" ")[0] ?? []);
  const flags = section("Options").flatMap((line) => line.match(/(?<![\w-])--?[a-z][a-z-]*/gi) ?? []);
  const own = commands.filter((name) => name !== "help");
  const below = await Promise.all(own.map((name) => describedBy([...path, name])));
  return [{ path, commands: own, flags }, ...below.flat()];
}

let described: Described[];
let folder: string;
beforeAll(async () => {
  described = await describedBy();
  folder = mkdtempSync(join(tmpdir(), "quorate-completion-"));
  writeFileSync(join(folder, "a file.conf"), "");
  for (const shell of ["bash", "zsh", "fish"])
    writeFileSync(join(folder, shell), await said("completion", shell));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a real bash offers for each of these lines; the last word, which may be empty, is the one to complete. */
function offered(lines: readonly (readonly string[])[]): string[][] {
  const asks = lines.map((words) => {
    const all = ["quorate", ...words].map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(${all}); COMP_CWORD=${words.length}; _quorate; printf '%s\\n' "\${COMPREPLY[@]}" END`;
  });
  const script = ["source ./bash", "complete -p quorate > /dev/null || exit 9", ...asks].join("\n");
  const bash = spawnSync("bash", ["--norc", "--noprofile"], { cwd: folder, input: script, encoding: "utf8" });
  expect(bash.stderr).toBe("");
  expect(bash.status).toBe(0);
  return bash.stdout
    .split("END\n")
    .slice(0, -1)
    .map((block) => block.split("\n").filter((line) => line !== ""));
}

describe("completion", () => {
  it("offers every command and every option of it in bash, and nothing else", () => {
    expect(described.length).toBeGreaterThan(20);
    const groups = described.filter(({ commands }) => commands.length > 0);
    const commands = offered(groups.map(({ path }) => [...path, ""]));
    for (const [index, group] of groups.entries()) {
      expect(commands[index]?.toSorted(), group.path.join(" ")).toEqual(group.commands.toSorted());
    }
    const flags = offered(described.map(({ path }) => [...path, "-"]));
    for (const [index, one] of described.entries()) {
      expect(flags[index]?.toSorted(), one.path.join(" ")).toEqual(one.flags.toSorted());
    }
  });

  it("knows in bash what an option or an argument may be", () => {
    const [begun, domains, after, files, limit, shells, unknown] = offered([
      ["sta"],
      ["events", "--domain", ""],
      ["log", "--node", "4", "--le"],
      ["config", "check", "a"],
      ["log", "-n", ""],
      ["completion", ""],
      ["nonsense", "st"],
    ]);
    expect(begun).toEqual(["status"]);
    expect(domains).toEqual([...EVENT_DOMAINS]);
    expect(after).toEqual(["--level"]);
    expect(files).toEqual(["a file.conf"]);
    expect(limit).toEqual([]);
    expect(shells).toEqual(["bash", "zsh", "fish"]);
    expect(unknown).toEqual(["status"]);
  });

  it("names every command and every long option for zsh and fish too", async () => {
    const [zsh, fish] = [await said("completion", "zsh"), await said("completion", "fish")];
    for (const { path, commands, flags } of described) {
      const at = `/${path.join("/")}`;
      const line = zsh.split("\n").find((text) => text.includes(`"${at}") offered=`)) ?? "";
      for (const word of [...commands, ...flags]) expect(line.split(/[ ()]/), at).toContain(word);
      const here = fish.split("\n").filter((text) => text.includes(`'__quorate_at ${at}'`));
      for (const name of commands) expect(here.some((text) => text.includes(` -a ${name} `))).toBe(true);
      for (const flag of flags.filter((text) => text.startsWith("--"))) {
        expect(
          here.some((text) => text.includes(` -l ${flag.slice(2)} `)),
          `${at} ${flag}`,
        ).toBe(true);
      }
    }
  });

  it("refuses a shell that it does not know", async () => {
    const output = { write: () => undefined, complain: () => undefined, isTerminal: false };
    expect(await runCommand("quorate", ["completion", "tcsh"], output)).toBe(EXIT_CODES.usage);
  });
});
