import { assertNever, type ConfigRef, QuorateError, type Reason } from "@quorate/contracts";
import {
  createRegister,
  type DocumentTools,
  type ProposalResult,
  RecordedTools,
  type RegisterEffect,
  type RegisterEvent,
  type RegisterInput,
  type RegisterState,
  registerProblems,
  type StoredDocument,
  stepRegister,
  type ToolAnswer,
} from "@quorate/core-config";
import { type Bus, InputRecorder, type Logger, monotonicUs } from "@quorate/runtime";
import type { DocumentStore } from "./document-store.ts";

const SERVICE = "config-distributor";
const FETCH_TIMEOUT_MS = 1000;
/** Longer than the master itself takes to answer, committed or not. */
const FORWARD_TIMEOUT_MS = 6500;

export interface RegisterLoopOptions {
  bus: Bus;
  store: DocumentStore;
  tools: DocumentTools;
  document: StoredDocument;
  logger: Logger;
  onEvent: (event: RegisterEvent, reason: Reason, document: StoredDocument) => void;
  /** Counts of `fetch` and `proposal` by outcome. */
  onOutcome: (what: "fetch" | "proposal" | "store", outcome: string) => void;
  /** After every step. */
  onStep: () => void;
}

interface Waiting {
  resolve: (answer: { ref: ConfigRef }) => void;
  reject: (error: QuorateError) => void;
}

/** `Omit` that keeps the members of a union apart. */
type InputWithoutTime<Input> = Input extends RegisterInput ? Omit<Input, "nowUs"> : never;

/** Runs the register: inputs in, effects out to the disk and the bus. */
export class RegisterLoop {
  readonly #options: RegisterLoopOptions;
  readonly #waiting = new Map<number, Waiting>();
  #state: RegisterState;
  #nextProposal = 1;
  #queue: RegisterInput[] = [];
  #isStepping = false;
  readonly #tools: RecordedTools;
  readonly #recorder = new InputRecorder<
    RegisterState,
    { input: RegisterInput; answers: readonly ToolAnswer[] }
  >();

  constructor(options: RegisterLoopOptions) {
    this.#options = options;
    this.#tools = new RecordedTools(options.tools);
    const verdict = options.tools.read(options.document.text, "running.conf");
    if (!verdict.ok) {
      throw new QuorateError(
        verdict.reason.code === "CONFIG_SYNTAX" ? "CONFIG_SYNTAX" : "CONFIG_INVALID",
        `The stored configuration cannot be used: ${verdict.reason.message}`,
        "Did an older version of Quorate take the place of a newer one? Install the newer one again.",
      );
    }
    this.#state = createRegister(options.bus.nodeId, options.document, verdict.config);
  }

  get state(): RegisterState {
    return this.#state;
  }

  /** What the core was given and decided, as far back as it is kept. */
  recording(): Promise<Uint8Array> {
    return this.#recorder.dump({ service: SERVICE, node: this.#state.self }, this.#state);
  }

  /** Whether something waits for an answer, a disk or its time. */
  get isBusy(): boolean {
    const { fetching, fetchFailures, persisting, persistAgain, proposals, inFlight, stampNotBeforeUs } =
      this.#state;
    const works = fetching !== null || persisting !== null || inFlight !== null || proposals.length > 0;
    return works || fetchFailures > 0 || persistAgain !== null || stampNotBeforeUs > monotonicUs();
  }

  problems(): Reason[] {
    return registerProblems(this.#state, monotonicUs());
  }

  input(input: InputWithoutTime<RegisterInput>): void {
    this.#queue.push({ ...input, nowUs: monotonicUs() });
    // An effect's answer may come while its step still runs: one step at a time, in order.
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const recorded = { input: next, answers: this.#tools.begin() };
        const { state, effects } = this.#recorder.run(this.#state, recorded, () =>
          stepRegister(this.#state, recorded.input, this.#tools),
        );
        this.#state = state;
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#options.onStep();
  }

  /** Says again what is stored: for a bus that has just come back. */
  announce(): void {
    this.#announce(this.#state.stored);
  }

  propose(request: {
    base: ConfigRef;
    text: string;
    reason: Reason;
    forwarded: boolean;
  }): Promise<{ ref: ConfigRef }> {
    const id = this.#nextProposal++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.input({ kind: "propose", id, ...request });
    });
  }

  #perform(effect: RegisterEffect): void {
    switch (effect.kind) {
      case "persist":
        void this.#persist(effect.document);
        return;
      case "announce":
        this.#announce(effect.document);
        return;
      case "fetch":
        void this.#fetch(effect);
        return;
      case "forward":
        void this.#forward(effect);
        return;
      case "answer":
        this.#answer(effect.id, effect.result);
        return;
      case "event":
        this.#options.onEvent(effect.event, effect.reason, this.#state.stored);
        return;
      default:
        assertNever(effect);
    }
  }

  async #persist(document: StoredDocument): Promise<void> {
    const result = await this.#options.store.write(document);
    this.#options.onOutcome("store", result.ok ? "ok" : "failed");
    if (result.ok) {
      this.input({ kind: "persisted", ref: document.ref });
      return;
    }
    const { error, surelyAbsent } = result;
    const reason = { code: error.code, message: `${error.message} ${error.hint}` };
    this.input({ kind: "persist-failed", ref: document.ref, surelyAbsent, reason });
  }

  #announce({ ref, text, from }: StoredDocument): void {
    const stampUs = monotonicUs();
    this.#options.bus.publishLocal("stored", { stampUs, ref, from, text });
    this.#options.bus.publishLocal("config", { stampUs, ref, text });
  }

  async #fetch(effect: Extract<RegisterEffect, { kind: "fetch" }>): Promise<void> {
    const { attempt, from, term, ref } = effect;
    try {
      const answer = await this.#options.bus.request(SERVICE, "get", from, { term, ref }, FETCH_TIMEOUT_MS);
      this.#options.onOutcome("fetch", "answered");
      this.input({ kind: "fetched", attempt, ref: answer.ref, text: answer.text, reason: answer.reason });
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      this.#options.onOutcome("fetch", error.code);
      this.#options.logger.info({ from, ref, code: error.code }, `fetch failed: ${error.message}`);
      this.input({ kind: "fetch-failed", attempt, reason: { code: error.code, message: error.message } });
    }
  }

  async #forward(effect: Extract<RegisterEffect, { kind: "forward" }>): Promise<void> {
    const { id, to } = effect;
    const { base, text, reason } = effect.proposal;
    const body = { base, text, reason, forwarded: true };
    try {
      const { ref } = await this.#options.bus.request(SERVICE, "propose", to, body, FORWARD_TIMEOUT_MS);
      this.#answer(id, { ok: true, ref });
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      const { code, message, hint } = error;
      const isUnknown = code === "REQUEST_TIMEOUT";
      this.#answer(id, {
        ok: false,
        code,
        message: isUnknown ? `${message} The change may have been made, or not.` : message,
        hint: isUnknown ? "Look at `quorate config log` before trying again." : hint,
      });
    }
  }

  #answer(id: number, result: ProposalResult): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#options.onOutcome("proposal", result.ok ? "committed" : result.code);
    if (waiting === undefined) return;
    if (result.ok) waiting.resolve({ ref: result.ref });
    else waiting.reject(new QuorateError(result.code, result.message, result.hint));
  }
}
