/**
 * Where in a JSON text the value at a path begins; of a path that leads nowhere, the deepest part that exists. For
 * texts that JSON.parse has taken: this only counts, it does not check.
 */
export function lineOfPath(text: string, path: readonly PropertyKey[]): number {
  let at = 0;
  let wanted = [...path];
  let found = skipBlanks(0);
  value();
  return text.slice(0, found).split("\n").length;

  function skipBlanks(from: number): number {
    let next = from;
    while (/\s/.test(text[next] ?? "")) next += 1;
    return next;
  }

  /** Passes over one value; remembers where it began when it lies on the path. */
  function value(onPath = true): void {
    at = skipBlanks(at);
    if (onPath) found = at;
    const first = text[at];
    if (first === "{" || first === "[") container(first === "{" ? "}" : "]", onPath);
    else if (first === '"') string();
    else while (at < text.length && !/[\s,\]}]/.test(text[at] ?? "")) at += 1;
  }

  function container(end: "}" | "]", onPath: boolean): void {
    const [step, ...rest] = wanted;
    at = skipBlanks(at + 1);
    for (let index = 0; at < text.length && text[at] !== end; index += 1) {
      const key = end === "}" ? keyBeforeColon() : index;
      const isNext = onPath && step !== undefined && key === step;
      if (isNext) wanted = rest;
      value(isNext);
      at = skipBlanks(at);
      if (text[at] === ",") at = skipBlanks(at + 1);
    }
    at += 1;
  }

  function keyBeforeColon(): string {
    const begin = at;
    string();
    const key = JSON.parse(text.slice(begin, at)) as string;
    at = skipBlanks(at) + 1;
    return key;
  }

  function string(): void {
    at += 1;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    at += 1;
  }
}
