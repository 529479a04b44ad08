import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A real program that speaks as Debian's fence-agents do, for a host whose power is a file. Parameters: `plug` (that
 * file), `trouble` (deaf: says nothing of the host; stuck: takes orders and does nothing; slow: does not end).
 */
const AGENT = `#!/bin/sh
while IFS='=' read -r key value; do
  case "$key" in
    action) action=$value ;;
    plug) plug=$value ;;
    trouble) trouble=$value ;;
    password) password=$value ;;
  esac
done
echo "$action $# $password" >> "$plug.calls"
case "$trouble" in
  deaf) echo "cannot log in with $password" >&2; exit 1 ;;
  slow) sleep 600 & wait ;;
esac
case "$action" in
  status) test -e "$plug" && echo "Status: ON" && exit 0; echo "Status: OFF"; exit 2 ;;
  off) test "$trouble" = stuck || rm -f "$plug"; exit 0 ;;
  *) exit 1 ;;
esac
`;

export class AgentFixture {
  readonly agent: string;
  readonly plug: string;
  readonly secretsFile: string;

  constructor(folder: string, name = "power") {
    this.agent = join(folder, "fence_file");
    this.plug = join(folder, name);
    this.secretsFile = join(folder, "secrets");
    writeFileSync(this.agent, AGENT);
    chmodSync(this.agent, 0o755);
    writeFileSync(this.plug, "on");
    writeFileSync(this.secretsFile, "# of the board\npassword=hunter2=x\n", { mode: 0o600 });
  }

  config(node: number, parameters: Record<string, string> = {}, timeoutMs = 5000) {
    const { agent, plug, secretsFile } = this;
    return { node, agent, timeoutMs, parameters: { plug, ...parameters }, secretsFile };
  }

  /** The actions asked for, how many arguments each came with, and the password. */
  calls(): string[] {
    try {
      return readFileSync(`${this.plug}.calls`, "utf8").trim().split("\n");
    } catch {
      return [];
    }
  }
}
