import fc from "fast-check";

/** A generated file: its text, and what must be read out of it as `path=value` and `path{`. */
export interface GeneratedText {
  readonly text: string;
  readonly said: readonly string[];
}

type Line =
  | { readonly kind: "trivia"; readonly text: string }
  | { readonly kind: "key"; readonly key: string; readonly value: string; readonly blanks: readonly string[] }
  | {
      readonly kind: "section";
      readonly name: string;
      readonly blanks: readonly string[];
      readonly lines: readonly Line[];
    };

const blanks = fc.string({ unit: fc.constantFrom(" ", "\t"), maxLength: 4 });
const name = fc
  .string({ unit: fc.constantFrom(...Array.from("abcxyzABC019._-/")), minLength: 1, maxLength: 8 })
  .map((text) => `key${text}`);
const word = fc.string({
  unit: fc.constantFrom(...Array.from("abc019:#}=\"'.\u044f\u{1f5a7}/")),
  minLength: 1,
  maxLength: 6,
});
const value = fc.array(word, { maxLength: 3 }).map((words) => words.join(" "));
const comment = fc
  .string({ unit: fc.constantFrom(...Array.from("ab {}:#\t\u044f\r")), maxLength: 12 })
  .map((text) => `# ${text}x`);

const trivia = fc.record({
  kind: fc.constant("trivia" as const),
  text: fc.tuple(blanks, fc.oneof(fc.constant(""), comment)).map((parts) => parts.join("")),
});
const keyLine = fc.record({
  kind: fc.constant("key" as const),
  key: name,
  value,
  blanks: fc.array(blanks, { minLength: 4, maxLength: 4 }),
});

const { lines } = fc.letrec<{ lines: Line[]; section: Line }>((tie) => ({
  lines: fc.array(
    fc.oneof({ depthSize: "small" }, { arbitrary: keyLine, weight: 3 }, trivia, tie("section")),
    { maxLength: 6 },
  ),
  section: fc.record({
    kind: fc.constant("section" as const),
    name,
    blanks: fc.array(blanks, { minLength: 5, maxLength: 5 }),
    lines: tie("lines"),
  }),
}));

/** Text of the grammar, with every liberty it leaves: blanks, comments, endings, repetition, nesting. */
export const generatedText: fc.Arbitrary<GeneratedText> = fc
  .record({
    lines,
    endings: fc.array(fc.constantFrom("\n", "\r\n"), { minLength: 1, maxLength: 3 }),
    hasFinalEnding: fc.boolean(),
  })
  .map((file) => {
    const physical: string[] = [];
    const said: string[] = [];
    write(file.lines, "", physical, said, 0);
    const { endings } = file;
    const ended = physical.map((line, index) => {
      const isLast = index === physical.length - 1;
      return isLast && !file.hasFinalEnding ? line : `${line}${endings[index % endings.length]}`;
    });
    return { text: ended.join(""), said };
  });

function write(list: readonly Line[], path: string, physical: string[], said: string[], depth: number): void {
  for (const line of list) {
    const [first = "", second = "", third = "", fourth = "", fifth = ""] =
      line.kind === "trivia" ? [] : line.blanks;
    if (line.kind === "trivia") physical.push(line.text);
    else if (line.kind === "key") {
      said.push(`${path}${line.key}=${line.value}`);
      physical.push(`${first}${line.key}${second}:${third}${line.value}${fourth}`);
    } else if (depth < 10) {
      said.push(`${path}${line.name}{`);
      physical.push(`${first}${line.name}${second}{${third}`);
      write(line.lines, `${path}${line.name}{`, physical, said, depth + 1);
      physical.push(`${fourth}}${fifth}`);
    }
  }
}
