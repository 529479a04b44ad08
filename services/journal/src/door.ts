import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import {
  assertNever,
  type Decision,
  type FromJournal,
  JOURNAL_LINE_LIMIT_BYTES,
  ToJournalSchema,
} from "@quorate/contracts";
import type { Logger } from "@quorate/runtime";
import type { Intake } from "./intake.ts";

/** Five processes of a node, a supervisor, and people who look. */
const CONNECTIONS_LIMIT = 64;

/** The socket on which the node's processes tell what they decided; only who may enter the run directory gets in. */
export class Door {
  readonly #server: Server;
  readonly #intake: Intake;
  readonly #logger: Logger;
  readonly #sockets = new Set<Socket>();
  #refused = 0;

  constructor(intake: Intake, logger: Logger) {
    this.#intake = intake;
    this.#logger = logger;
    this.#server = createServer((socket) => this.#enter(socket));
    this.#server.maxConnections = CONNECTIONS_LIMIT;
  }

  /** Lines that had not the agreed form. */
  get refused(): number {
    return this.#refused;
  }

  /** A socket file that a killed predecessor left is replaced: the state folder is held, so there is no other. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #enter(socket: Socket): void {
    this.#sockets.add(socket);
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      rest += text;
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        if (!this.#take(socket, line)) return;
      }
      if (rest.length > JOURNAL_LINE_LIMIT_BYTES) this.#refuse(socket, "a line without end");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #take(socket: Socket, line: string): boolean {
    let value: unknown = null;
    try {
      value = JSON.parse(line);
    } catch {
      // Refused below.
    }
    const parsed = ToJournalSchema.safeParse(value);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      this.#refuse(socket, `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "?"}`);
      return false;
    }
    const { data } = parsed;
    switch (data.kind) {
      case "hello":
        say(socket, { kind: "after", seq: this.#intake.greet(data.run, data.service, data.oldest) });
        return true;
      case "decision":
        this.#intake.take(data.decision);
        return true;
      case "ask":
        for (const decision of this.#intake.waiting) say(socket, unwritten(decision));
        say(socket, { kind: "end", problem: this.#intake.problem });
        return true;
      default:
        return assertNever(data);
    }
  }

  #refuse(socket: Socket, problem: string): void {
    this.#refused += 1;
    this.#logger.warn({ problem }, "what came in has not the agreed form; the connection is ended");
    socket.destroy();
  }
}

function unwritten(decision: Decision): FromJournal {
  return { kind: "unwritten", decision };
}

function say(socket: Socket, line: FromJournal): void {
  socket.write(`${JSON.stringify(line)}\n`);
}
