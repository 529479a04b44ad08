import { assertNever } from "@quorate/contracts";
import type { Spot, Values } from "./spots.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script that a shell reads to complete `quorate`. It needs no node: all words stand in it. */
export function completionScript(shell: Shell, spots: readonly Spot[]): string {
  switch (shell) {
    case "bash":
      return bash(spots);
    case "zsh":
      return zsh(spots);
    case "fish":
      return fish(spots);
    default:
      return assertNever(shell);
  }
}

const paths = (spots: readonly Spot[]) => spots.map(({ path }) => path).filter((path) => path !== "/");

const flagsOf = ({ options }: Spot) => options.flatMap(({ flags }) => flags);

/** Commands or choices where there are some; else, where nothing else is wanted, the options. */
function wordsOf(spot: Spot): readonly string[] {
  if (spot.commands.length > 0) return spot.commands.map(({ name }) => name);
  if (typeof spot.values === "object") return spot.values;
  return spot.values === "none" ? flagsOf(spot) : [];
}

/** Each option that wants a value, with the place where it may stand: `/record:--out`. */
function valued(spots: readonly Spot[]): { at: string[]; values: Exclude<Values, "none"> }[] {
  return spots.flatMap((spot) =>
    spot.options.flatMap(({ flags, values }) =>
      values === "none" ? [] : [{ at: flags.map((flag) => `${spot.path}:${flag}`), values }],
    ),
  );
}

/** The lines of a `case` that names where one is, for bash and zsh. */
function cases(spots: readonly Spot[], answer: (values: Exclude<Values, "none">) => string): string {
  return valued(spots)
    .map(({ at, values }) => `    ${at.map((place) => `"${place}"`).join("|")}) ${answer(values)}; return ;;`)
    .join("\n");
}

const list = (words: readonly string[]) => words.join(" ");

function bash(spots: readonly Spot[]): string {
  const answer = (values: Exclude<Values, "none">) => {
    if (typeof values === "object") return `COMPREPLY=($(compgen -W "${list(values)}" -- "$current"))`;
    return values === "file" ? "_quorate_files" : "COMPREPLY=()";
  };
  const places = spots.map((spot) => {
    const isFile = spot.values === "file" ? "yes" : "";
    return `    "${spot.path}") words="${list(wordsOf(spot))}"; flags="${list(flagsOf(spot))}"; file=${isFile} ;;`;
  });
  return `# bash completion of quorate. Made by: quorate completion bash
_quorate_files() {
  compopt -o filenames 2> /dev/null
  local found
  mapfile -t found < <(compgen -f -- "$current")
  COMPREPLY+=("\${found[@]}")
}
_quorate() {
  COMPREPLY=()
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local at=/ words= flags= file= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${at%/}/$word" in
      ${paths(spots).join("|")}) at="\${at%/}/$word" ;;
    esac
  done
  case "$at:$previous" in
${cases(spots, answer)}
  esac
  case "$at" in
${places.join("\n")}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$flags" -- "$current")) ;;
    *)
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      if [ -n "$file" ]; then _quorate_files; fi
      ;;
  esac
}
complete -F _quorate quorate
`;
}

function zsh(spots: readonly Spot[]): string {
  const answer = (values: Exclude<Values, "none">) => {
    if (typeof values === "object") return `compadd -- ${list(values)}`;
    return values === "file" ? "_files" : "_message value";
  };
  const places = spots.map((spot) => {
    const isFile = spot.values === "file" ? "yes" : "";
    return `    "${spot.path}") offered=(${list(wordsOf(spot))}); flags=(${list(flagsOf(spot))}); file=${isFile} ;;`;
  });
  return `#compdef quorate
# zsh completion of quorate. Made by: quorate completion zsh
_quorate() {
  local current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}"
  local at=/ file= word
  local -a offered flags
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${at%/}/$word" in
      ${paths(spots).join("|")}) at="\${at%/}/$word" ;;
    esac
  done
  case "$at:$previous" in
${cases(spots, answer)}
  esac
  case "$at" in
${places.join("\n")}
  esac
  if [[ "$current" == -* ]]; then
    compadd -- "\${flags[@]}"
    return
  fi
  if (( \${#offered} )); then compadd -- "\${offered[@]}"; fi
  if [[ -n "$file" ]]; then _files; fi
}
if [[ "\${funcstack[1]}" == _quorate ]]; then _quorate "$@"; else compdef _quorate quorate; fi
`;
}

/** Between single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function fish(spots: readonly Spot[]): string {
  const lines = spots.flatMap((spot) => {
    const here = `complete -c quorate -n ${quoted(`__quorate_at ${spot.path}`)}`;
    const commands = spot.commands.map(
      ({ name, description }) => `${here} -a ${name} -d ${quoted(description)}`,
    );
    const choices =
      typeof spot.values === "object" ? [`${here} -a ${quoted(list(spot.values))}`] : ([] as string[]);
    const files = spot.values === "file" ? [`${here} -F`] : [];
    const options = spot.options.map(({ flags, description, values }) => {
      const names = flags.map((flag) =>
        flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      return `${here} ${names.join(" ")} ${fishValues(values)}-d ${quoted(description)}`;
    });
    return [...commands, ...choices, ...files, ...options];
  });
  return `# fish completion of quorate. Made by: quorate completion fish
function __quorate_at
  set -l at /
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -r -c / -- $at)/$word
    if contains -- $next ${paths(spots).join(" ")}
      set at $next
    end
  end
  test $at = $argv[1]
end
complete -c quorate -f
${lines.join("\n")}
`;
}

function fishValues(values: Values): string {
  if (values === "none") return "";
  if (typeof values === "object") return `-x -a ${quoted(list(values))} `;
  return values === "file" ? "-r -F " : "-x ";
}
