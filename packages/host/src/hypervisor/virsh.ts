import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { runTool, toolFailed } from "../tools/run-tool.ts";

const DOMAIN_GONE = /failed to get domain|Domain not found|domain is not running|no domain with matching/i;

/** Libvirt's words, and what they mean for whoever wanted something. The first that fits. */
const MEANINGS: readonly (readonly [RegExp, QuorateError["code"], string])[] = [
  [
    /failed to connect to the hypervisor|Failed to connect socket|Cannot recv data|End of file while reading|client socket is closed|Connection reset by peer.*libvirt/i,
    "HYPERVISOR_DOWN",
    "Is libvirtd running? virsh list on this host. It is tried again by itself.",
  ],
  [
    /already exists|already active|is already defined|already running/i,
    "MACHINE_EXISTS",
    "Another domain of this host has that name or UUID: virsh list --all. Take it out, or give this one others.",
  ],
  [
    /Failed to connect to|Connection refused|No route to host|Could not open|Cannot access storage|Failed to get .*lock|Server requires|export .* not (found|present)/i,
    "STORAGE_UNREACHABLE",
    "Is the storage there, and does this host reach it? Is somebody else using the disk?",
  ],
  [
    /cannot allocate memory|cannot set up guest memory|out of memory/i,
    "NO_MEMORY",
    "Free some memory, or move a machine away; another host is tried by itself.",
  ],
  [
    /XML error|XML document failed to validate|\(domain_definition\)|unsupported configuration|does not support|no .*interface.* with matching|Cannot get interface/i,
    "DEFINITION_BROKEN",
    "Correct the definition: quorate vm define FILE.",
  ],
];

export interface VirshOptions {
  readonly uri: string;
  readonly timeoutMs: number;
}

/** One command of virsh, to its end. Null where it says that there is no such domain. Throws as `Hypervisor` says. */
export async function virsh(
  context: HostContext,
  { uri, timeoutMs }: VirshOptions,
  command: readonly string[],
): Promise<string | null> {
  // Of several commands in one line, each of the others only parts the answers.
  const what = /\bdom\w+/.exec(command[0] ?? "")?.[0] ?? command[0] ?? "?";
  let result;
  try {
    const line = ["virsh", "--quiet", "-c", uri, ...command];
    result = await runTool(context, line, { timeoutMs });
  } catch (error) {
    if (error instanceof QuorateError && /did not end within/.test(error.message)) {
      throw new QuorateError(
        "HYPERVISOR_DOWN",
        `Libvirt did not answer "${what}" within ${timeoutMs} ms.`,
        "Does libvirtd hang? virsh list on this host. It is tried again by itself.",
        { cause: error },
      );
    }
    throw error;
  }
  if (result.exitCode === 0) return result.output;
  const words = result.errorOutput.replace(/^error: /gm, "").trim();
  if (DOMAIN_GONE.test(words)) return null;
  throw meaningOf(what, words);
}

export function meaningOf(command: string, words: string): QuorateError {
  const [, code, hint] = MEANINGS.find(([pattern]) => pattern.test(words)) ?? [];
  const line = words.split("\n").join(" ");
  if (code === undefined || hint === undefined) return toolFailed("virsh", `${command}: ${line}`);
  return new QuorateError(code, `Libvirt refused "${command}": ${line}`, hint);
}
