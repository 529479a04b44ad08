import type { ClusterConfig, ConfigMessage } from "@quorate/contracts";
import { documentDigest, HOSTS_FILE, readSentDocument } from "@quorate/corosync-conf";
import type { Logger } from "@quorate/runtime";

export interface ConfigIntakeOptions {
  /** What is run on already. */
  text: string;
  /** Stands in messages. */
  fileName: string;
  /** Names are looked up here. */
  hostsFile?: string;
  logger: Logger;
  configure(config: ClusterConfig): Promise<void>;
}

/** Takes each new document once; the same one comes every second. */
export class ConfigIntake {
  readonly #options: ConfigIntakeOptions;
  #digest: string;
  /** One after the other: a service that is being replaced takes its time. Never rejects. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: ConfigIntakeOptions) {
    this.#options = options;
    this.#digest = documentDigest(options.text);
  }

  /** Resolves when everything taken so far is run on. A document that failed costs no later one. */
  take(message: ConfigMessage): Promise<void> {
    if (message.ref.digest === this.#digest) return this.#last;
    const { fileName, hostsFile, logger, configure } = this.#options;
    const { version } = message.ref;
    const read = readSentDocument(message, fileName, hostsFile ?? HOSTS_FILE);
    if (read === null) {
      logger.error(
        { version },
        "a document does not match its digest or cannot be read; the running one stays",
      );
      return this.#last;
    }
    this.#digest = message.ref.digest;
    this.#last = this.#last
      .then(() => configure(read.config))
      .catch((error: unknown) => {
        const stack = error instanceof Error ? error.stack : String(error);
        logger.error({ version, stack }, "a document was not taken over in full; the next one is tried anew");
      });
    return this.#last;
  }
}
