import { connect } from "node:net";
import type { Readiness, ReadinessProbe, ReadinessTarget } from "./managed-service.ts";

export function createReadinessProbe(): ReadinessProbe {
  return {
    async check(targets, timeoutUs): Promise<Readiness> {
      const verdicts = await Promise.all(
        targets.map((target) => checkOne(target, Math.ceil(timeoutUs / 1_000))),
      );
      const at = verdicts.findIndex((verdict) => verdict !== undefined);
      const target = targets[at];
      if (target === undefined) return { ready: true };
      return { ready: false, target, message: verdicts[at] ?? "" };
    },
  };
}

/** What is wrong; undefined when it is ready. Never throws. */
function checkOne(target: ReadinessTarget, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: target.address, port: target.port });
    let text = "";
    let connected = false;
    const end = (verdict: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(verdict);
    };
    const timer = setTimeout(
      () => end(`${connected ? "it accepts, but says nothing" : "no connection"} within ${timeoutMs} ms`),
      timeoutMs,
    );
    socket.setEncoding("latin1");
    socket.once("connect", () => {
      connected = true;
      const host = target.address.includes(":") ? `[${target.address}]` : target.address;
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}:${target.port}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (chunk: string) => {
      text += chunk;
      const verdict = judge(text);
      if (verdict !== "more") end(verdict);
    });
    // Hanging up on our request is an answer too, of something that expects TLS or another language.
    socket.once("error", (error) => end(connected ? undefined : error.message));
    socket.once("close", () => end(undefined));
  });
}

/** From the first bytes of an answer: what is wrong, undefined when ready, "more" when too few. */
function judge(text: string): string | undefined {
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(text);
  if (status !== null) return Number(status[1]) >= 500 ? `HTTP ${status[1]}` : undefined;
  return "HTTP/1.1 200".startsWith(text.slice(0, 7)) && text.length < 12 ? "more" : undefined;
}
