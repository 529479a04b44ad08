import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const CLUSTER_CONF = `totem {
	config_version: 1
	cluster_name: VMmanager
	transport: udpu
}
quorum {
	expected_votes: 3
}
ihttpd {
	count: 1
	port0: 1500
}
cluster_ip {
	address: 172.31.223.100
	CloudIpDev: vmbr0
	CloudMask: 24
}
nodelist {
	node {
		ring0_addr: 172.31.223.46
		nodeid: 2
		prio: 99
	}
	node {
		ring0_addr: 172.31.223.47
		nodeid: 4
		prio: 100
	}
	node {
		ring0_addr: 172.31.223.48
		nodeid: 8
		prio: 98
	}
}
`;

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "quorate-cli-"));
}

export async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited too long for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
