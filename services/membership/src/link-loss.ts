import type { PeersMessage, Reason } from "@quorate/contracts";

/** Told from here on, and as over below that: between the two it is neither. */
const LOSSY_PERCENT = 5;
const CLEAN_PERCENT = 2;
/** Worse by so much is told again. */
const WORSE_PERCENT = 15;
/** The share is that of the last hundred datagrams: after an outage it shows the outage for so long. */
const SETTLED_US = 25_000_000;

/** Says when a link begins to lose datagrams and when it ceases to: nobody is removed for it, yet it explains much. */
export class LinkLoss {
  readonly #told = new Map<string, number>();
  readonly #unheardAtUs = new Map<string, number>();

  /** To be called with each statement about the peers; answers what is new in it. */
  look(message: PeersMessage): Reason[] {
    const news: Reason[] = [];
    for (const { node, links } of message.peers) {
      for (const { ring, hears, lossPercent } of links) {
        const key = `${node} ${ring}`;
        const told = this.#told.get(key) ?? null;
        const percent = Math.round(lossPercent);
        const facts = { node, ring, lossPercent: percent };
        if (!hears) this.#unheardAtUs.set(key, message.stampUs);
        if (message.stampUs - (this.#unheardAtUs.get(key) ?? Number.NEGATIVE_INFINITY) < SETTLED_US) continue;
        if (percent >= LOSSY_PERCENT && (told === null || percent >= told + WORSE_PERCENT)) {
          this.#told.set(key, percent);
          const text = `${percent} % of what node ${node} sends on ring ${ring} is lost on the way to this node.`;
          news.push({ code: "link-lossy", message: text, facts });
        } else if (percent < CLEAN_PERCENT && told !== null) {
          this.#told.delete(key);
          const text = `What node ${node} sends on ring ${ring} arrives again.`;
          news.push({ code: "link-clean", message: text, facts });
        }
      }
    }
    return news;
  }
}
