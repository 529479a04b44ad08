import type { Command, Option } from "commander";

/** A place on the command line, after the words of a command: what may come next there. */
export interface Spot {
  /** `/` for the program itself, `/node/prio` for a command. */
  path: string;
  commands: { name: string; description: string }[];
  options: { flags: string[]; description: string; values: Values }[];
  /** What its arguments may be. */
  values: Values;
}

/** What follows: nothing, something that cannot be guessed, a file, or one of these. */
export type Values = "none" | "any" | "file" | readonly string[];

/** All places, the program first; from the one table of commands that the program itself is made of. */
export function spotsOf(command: Command, path = "/"): Spot[] {
  const visible = command.commands;
  const [argument] = command.registeredArguments;
  const spot: Spot = {
    path,
    commands: visible.map((one) => ({ name: one.name(), description: one.description() })),
    options: [...optionsOf(command), { flags: ["-h", "--help"], description: "help", values: "none" }],
    values: argument === undefined ? "none" : valuesOf(argument.name(), argument.argChoices),
  };
  const below = path === "/" ? "" : path;
  return [spot, ...visible.flatMap((one) => spotsOf(one, `${below}/${one.name()}`))];
}

function optionsOf(command: Command): Spot["options"] {
  return command.options
    .filter(({ hidden }) => !hidden)
    .map((option) => ({
      flags: [option.short, option.long].filter((flag) => typeof flag === "string"),
      description: option.description,
      values: option.required || option.optional ? valuesOf(valueName(option), option.argChoices) : "none",
    }));
}

/** `dir` of `--run-dir <dir>`. */
function valueName({ flags }: Option): string {
  return /[<[]([^>\].]+)/.exec(flags)?.[1] ?? "";
}

const FILES: readonly string[] = ["file", "dir", "path"];

function valuesOf(name: string, choices: readonly string[] | undefined): Values {
  if (choices !== undefined) return choices;
  return FILES.includes(name) ? "file" : "any";
}
