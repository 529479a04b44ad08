// What the set-up says goes to stderr: stdout belongs to the command that runs after it.

/** A failure that is explained to a person: what is wrong, and what to do. Anything else that is thrown is a bug. */
export class SetupStop extends Error {
  /** @param {string} message @param {string} [remedy] @param {number} [exitCode] */
  constructor(message, remedy, exitCode = 1) {
    super(message);
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}

/** @param {string} line */
export function say(line) {
  process.stderr.write(`quorate set-up: ${line}\n`);
}

/** Prints why the set-up stopped and answers the exit code. @param {unknown} error */
export function explainStop(error) {
  if (!(error instanceof SetupStop)) {
    throw error;
  }
  process.stderr.write(`\nquorate set-up stops: ${error.message}\n`);
  if (error.remedy !== undefined) {
    process.stderr.write(`${error.remedy}\n`);
  }
  return error.exitCode;
}
