import {
  localSubject,
  type LocalTopic,
  type NodeId,
  QuorateError,
  requestSubject,
  type ServiceName,
} from "@quorate/contracts";
import { connect, type Msg, type NatsConnection, type Subscription } from "nats";
import type { z } from "zod";
import { monotonicUs } from "./clock.ts";
import {
  type Answer,
  type FailureBody,
  formOf,
  parseJson,
  type RequestBody,
  requestFailure,
  type Verb,
} from "./bus-requests.ts";
import { LOCAL_SCHEMAS, type LocalMessage } from "./local-topics.ts";
import { type Logger, RateLimit } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import type { BusCredentials } from "./service-context.ts";

export interface BusOptions {
  credentials: BusCredentials;
  clusterName: string;
  nodeId: NodeId;
  /** Shown by the server's monitoring: which of our processes it is. */
  name: string;
  logger: Logger;
  metrics?: Metrics;
}

export interface BusSubscription {
  unsubscribe(): void;
}

export interface LocalSubscribeOptions {
  /** Drop what was stamped longer ago than this, by the clock that all services of a host share. */
  maxAgeUs?: number;
}

export interface BusCounters {
  sent: number;
  received: number;
  /** Not sent because the server was away. */
  droppedAway: number;
  /** Came in, or would have gone out, in a form that nobody agreed to. */
  invalid: number;
  /** Came in too late to be true still. */
  stale: number;
  reconnects: number;
}

interface Entry {
  subject: string;
  receive: (message: Msg) => void;
  active: Subscription | undefined;
}

/** Larger messages are counted and dropped unread; the server's own limit is 8 MiB. */
const MESSAGE_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * The node's bus: connects to the local nats-server only and retries for ever; never throws or waits because
 * the server is away. What is published meanwhile is DROPPED, never kept and flushed later: local messages
 * are repeated statements of present knowledge, and an old grant that comes late is worse than none.
 */
export class Bus {
  readonly clusterName: string;
  readonly nodeId: NodeId;
  readonly #options: BusOptions;
  readonly #localSubjects = new Map<LocalTopic, string>();
  readonly #entries = new Set<Entry>();
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #complaints = new RateLimit(5000);
  readonly #counters: BusCounters = {
    sent: 0,
    received: 0,
    droppedAway: 0,
    invalid: 0,
    stale: 0,
    reconnects: 0,
  };
  #connection: NatsConnection | undefined;
  #connected = false;
  #closed = false;
  #lostAtMs = performance.now();

  constructor(options: BusOptions) {
    this.#options = options;
    this.clusterName = options.clusterName;
    this.nodeId = options.nodeId;
    this.#exportMetrics(options.metrics);
    void this.#connectForEver();
  }

  /** True while the local server can be reached as far as is known. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Counts since the start: what went out, came in, and was dropped, and why. */
  get counters(): Readonly<BusCounters> {
    return this.#counters;
  }

  /** Calls back on every change, and at once when the bus is connected already. */
  onConnection(listener: (connected: boolean) => void): BusSubscription {
    this.#listeners.add(listener);
    if (this.#connected) listener(true);
    return { unsubscribe: () => void this.#listeners.delete(listener) };
  }

  /**
   * Sends without waiting. False when it was dropped: the server is away, or the message has not the form
   * (counted and logged: a programming mistake). True promises only that it was handed to the socket.
   */
  publish<Schema extends z.ZodType>(subject: string, schema: Schema, message: z.input<Schema>): boolean {
    if (!this.#connected || this.#connection === undefined) {
      this.#counters.droppedAway += 1;
      return false;
    }
    const parsed = schema.safeParse(message);
    if (!parsed.success) {
      this.#refuse(`own message on ${subject} not sent`, parsed.error.issues[0]);
      return false;
    }
    return this.#send(subject, JSON.stringify(message));
  }

  /**
   * Sends on this node's local topic, without waiting; false when it was dropped. The types answer for the
   * form, the receiver checks it at its door: these messages go tens of times a second.
   */
  publishLocal<Topic extends LocalTopic>(topic: Topic, message: LocalMessage<Topic>): boolean {
    if (!this.#connected || this.#connection === undefined) {
      this.#counters.droppedAway += 1;
      return false;
    }
    return this.#send(this.#localSubjectOf(topic), JSON.stringify(message));
  }

  /**
   * Resolves true once every message that reached the local server before this call has been handed in here,
   * false when the server went away meanwhile.
   */
  async barrier(): Promise<boolean> {
    const connection = this.#connection;
    if (!this.#connected || connection === undefined) return false;
    try {
      await connection.flush();
    } catch {
      return false;
    }
    return this.#connected;
  }

  /**
   * Calls `handler` with every message of the agreed form; others are counted, dropped and logged now and
   * then. Survives reconnects. A handler that throws ends the process: a broken invariant is not hidden.
   */
  subscribe<Schema extends z.ZodType>(
    subject: string,
    schema: Schema,
    handler: (message: z.output<Schema>, subject: string) => void,
  ): BusSubscription {
    return this.#add(subject, (message) => {
      const value = this.#read(message, schema);
      if (value !== undefined) handler(value.data, message.subject);
    });
  }

  /** `subscribe` on this node's local topic. */
  subscribeLocal<Topic extends LocalTopic>(
    topic: Topic,
    handler: (message: LocalMessage<Topic>) => void,
    options: LocalSubscribeOptions = {},
  ): BusSubscription {
    const schema: z.ZodType<{ stampUs: number }> = LOCAL_SCHEMAS[topic];
    return this.subscribe(localSubject(this.clusterName, this.nodeId, topic), schema, (message) => {
      if (options.maxAgeUs !== undefined && monotonicUs() - message.stampUs > options.maxAgeUs) {
        this.#counters.stale += 1;
        return;
      }
      handler(message as LocalMessage<Topic>);
    });
  }

  /**
   * Asks one service of one node. Throws QuorateError: the one answered, BUS_UNREACHABLE when the local
   * server or that service is away, REQUEST_TIMEOUT, MESSAGE_INVALID when the answer has not the form.
   */
  async request<Service extends ServiceName, Name extends Verb<Service>>(
    service: Service,
    verb: Name,
    node: NodeId,
    body: RequestBody<Service, Name>,
    timeoutMs: number,
  ): Promise<Answer<Service, Name>> {
    const who = `${service} of node ${node}`;
    if (!this.#connected || this.#connection === undefined) {
      throw new QuorateError(
        "BUS_UNREACHABLE",
        `Cannot ask ${who}: the local NATS server at ${this.#options.credentials.url} does not answer.`,
        "Is the node running? See `quorate status` and log/nats-server.log in the state directory.",
      );
    }
    let message: Msg;
    try {
      message = await this.#connection.request(
        requestSubject(this.clusterName, node, service, verb),
        JSON.stringify(body),
        { timeout: timeoutMs },
      );
    } catch (error) {
      throw requestFailure(who, verb, timeoutMs, error);
    }
    const form = formOf(service, verb);
    const parsed = form.answer.safeParse(parseJson(message.data));
    if (!parsed.success) {
      throw new QuorateError(
        "MESSAGE_INVALID",
        `${who} answered ${verb} in a form that this version does not know.`,
        "Do all nodes run the same version? See `quorate --version` on each.",
      );
    }
    const answer = parsed.data as { ok: true } | { ok: false; error: FailureBody };
    if (!answer.ok) throw new QuorateError(answer.error.code, answer.error.message, answer.error.hint);
    return answer as Answer<Service, Name>;
  }

  /**
   * Answers requests of this node's service. A QuorateError thrown by `handler` is the answer of failure;
   * any other error ends the process, as everywhere.
   */
  serve<Service extends ServiceName, Name extends Verb<Service>>(
    service: Service,
    verb: Name,
    handler: (
      body: RequestBody<Service, Name>,
    ) => Omit<Answer<Service, Name>, "ok"> | Promise<Omit<Answer<Service, Name>, "ok">>,
  ): BusSubscription {
    const form = formOf(service, verb);
    const reply = (message: Msg, answer: unknown) => {
      if (message.reply !== undefined && message.reply !== "" && this.#connected) {
        this.#send(message.reply, JSON.stringify(answer));
      }
    };
    const failure = (error: QuorateError) => ({
      ok: false,
      error: { code: error.code, message: error.message, hint: error.hint },
    });
    const answer = async (message: Msg, body: unknown) => {
      try {
        reply(message, { ok: true, ...(await handler(body)) });
      } catch (error) {
        if (!(error instanceof QuorateError)) crash(error);
        else reply(message, failure(error));
      }
    };
    return this.#add(requestSubject(this.clusterName, this.nodeId, service, verb), (message) => {
      const body = this.#read(message, form.request);
      if (body !== undefined) void answer(message, body.data);
      else {
        const hint = "Do all nodes run the same version? See `quorate --version` on each.";
        const what = `The request ${verb} to ${service} of node ${this.nodeId} has not the agreed form.`;
        reply(message, failure(new QuorateError("MESSAGE_INVALID", what, hint)));
      }
    });
  }

  /** Waits until the server has seen everything sent so far (at most `limitMs`), then disconnects for good. */
  async close(limitMs = 200): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#connected) {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, limitMs);
      });
      await Promise.race([connection.flush().catch(() => undefined), limit]);
      clearTimeout(timer);
    }
    this.#setConnected(false);
    await connection.close();
  }

  /** Put together once: local messages go tens of times a second. */
  #localSubjectOf(topic: LocalTopic): string {
    let subject = this.#localSubjects.get(topic);
    if (subject === undefined) {
      subject = localSubject(this.clusterName, this.nodeId, topic);
      this.#localSubjects.set(topic, subject);
    }
    return subject;
  }

  #send(subject: string, text: string): boolean {
    if (text.length > MESSAGE_LIMIT_BYTES || this.#connection === undefined) {
      this.#refuse(`own message on ${subject} is too large and was not sent`, undefined);
      return false;
    }
    this.#connection.publish(subject, text);
    this.#counters.sent += 1;
    return true;
  }

  #add(subject: string, receive: (message: Msg) => void): BusSubscription {
    const entry: Entry = { subject, receive, active: undefined };
    this.#entries.add(entry);
    if (this.#connection !== undefined) this.#activate(entry, this.#connection);
    return {
      unsubscribe: () => {
        this.#entries.delete(entry);
        entry.active?.unsubscribe();
      },
    };
  }

  #activate(entry: Entry, connection: NatsConnection): void {
    entry.active = connection.subscribe(entry.subject, {
      callback: (error, message) => {
        if (error !== null) {
          this.#refuse(`subscription ${entry.subject} was refused: ${error.message}`, undefined);
          return;
        }
        try {
          entry.receive(message);
        } catch (thrown) {
          // Thrown here it would only break the client's reader.
          crash(thrown);
        }
      },
    });
  }

  #read<Schema extends z.ZodType>(message: Msg, schema: Schema): { data: z.output<Schema> } | undefined {
    this.#counters.received += 1;
    const value = message.data.length > MESSAGE_LIMIT_BYTES ? undefined : parseJson(message.data);
    const parsed = schema.safeParse(value);
    if (parsed.success) return { data: parsed.data };
    this.#refuse(`message on ${message.subject} dropped`, parsed.error.issues[0]);
    return undefined;
  }

  #refuse(what: string, issue: { path: PropertyKey[]; message: string } | undefined): void {
    this.#counters.invalid += 1;
    const suppressed = this.#complaints.pass();
    if (suppressed === null) return;
    const problem = issue === undefined ? undefined : `${issue.path.map(String).join(".")}: ${issue.message}`;
    this.#options.logger.warn({ problem, suppressed }, what);
  }

  async #connectForEver(): Promise<void> {
    const { credentials, name } = this.#options;
    while (!this.#closed) {
      let connection: NatsConnection;
      try {
        connection = await connect({
          servers: credentials.url,
          user: credentials.user,
          pass: credentials.password,
          name,
          waitOnFirstConnect: true,
          maxReconnectAttempts: -1,
          reconnectDelayHandler: () => this.#reconnectDelayMs(),
          ignoreAuthErrorAbort: true,
          ignoreClusterUpdates: true,
          noRandomize: true,
          noAsyncTraces: true,
          timeout: 2000,
          // A server that is stopped (SIGSTOP) keeps the socket open: only pings show it.
          pingInterval: 1000,
          maxPingOut: 2,
        });
      } catch (error) {
        this.#options.logger.warn({ error: String(error) }, "the bus could not connect");
        await new Promise((resolve) => setTimeout(resolve, 200));
        continue;
      }
      if (this.#closed) {
        await connection.close();
        return;
      }
      this.#connection = connection;
      for (const entry of this.#entries) this.#activate(entry, connection);
      this.#setConnected(true);
      for await (const status of connection.status()) {
        if (status.type === "disconnect" || status.type === "staleConnection") this.#setConnected(false);
        if (status.type === "reconnect") {
          this.#counters.reconnects += 1;
          this.#setConnected(true);
        }
        if (status.type === "error") {
          this.#options.logger.warn({ error: status.error.message }, "the NATS server refused something");
        }
      }
      this.#connection = undefined;
      this.#setConnected(false);
    }
  }

  /** Fast while the supervisor is probably restarting the server, cheap when it stays away. */
  #reconnectDelayMs(): number {
    return performance.now() - this.#lostAtMs < 3000 ? 20 : 100;
  }

  #setConnected(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    if (!connected) this.#lostAtMs = performance.now();
    if (!this.#closed) {
      this.#options.logger.info(connected ? "connected to the local bus" : "the local bus is away");
    }
    for (const listener of this.#listeners) listener(connected);
  }

  #exportMetrics(metrics: Metrics | undefined): void {
    if (metrics === undefined) return;
    const messages = metrics.gauge(
      "quorate_bus_messages_total",
      "Messages of the local bus by what became of them",
      ["outcome"],
      (gauge) => {
        for (const [outcome, count] of Object.entries(this.#counters)) gauge.set({ outcome }, count);
      },
    );
    messages.set({ outcome: "sent" }, 0);
    metrics.gauge("quorate_bus_connected", "1 while the local NATS server answers", [], (gauge) =>
      gauge.set(this.#connected ? 1 : 0),
    );
  }
}

/** Outside of every promise and callback of the client, where runService sees it. */
function crash(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
