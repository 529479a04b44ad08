import { writeSync } from "node:fs";

/**
 * Writes log lines to a file descriptor, each at once. A line that the descriptor does not take (a full disk, a
 * reader that has gone or does not keep up) is given up and counted: no process ends, or waits, for its log. The
 * first line that goes out again is preceded by what `lostLine` makes of the count.
 */
export class LogOutput {
  readonly #descriptor: number;
  readonly #lostLine: (count: number, why: string) => string;
  #lost = 0;
  #why = "";
  /** A line was cut off in its middle. */
  #torn = false;

  constructor(descriptor: number, lostLine: (count: number, why: string) => string) {
    this.#descriptor = descriptor;
    this.#lostLine = lostLine;
  }

  write(line: string): void {
    const before = this.#lost === 0 ? "" : this.#lostLine(this.#lost, this.#why);
    const bytes = Buffer.from(`${this.#torn ? "\n" : ""}${before}${line}`);
    const written = this.#put(bytes);
    if (written === bytes.length) {
      this.#lost = 0;
      this.#torn = false;
      return;
    }
    this.#lost += 1;
    if (written > 0) this.#torn = bytes[written - 1] !== NEWLINE;
  }

  /** How many bytes went out. */
  #put(bytes: Buffer): number {
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written);
    } catch (error) {
      this.#why = (error as NodeJS.ErrnoException).code ?? String(error);
    }
    return written;
  }
}

const NEWLINE = 0x0a;
