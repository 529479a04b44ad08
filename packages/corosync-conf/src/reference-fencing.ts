import type { ReferenceKey } from "./reference-types.ts";
import { BOOLEAN, TEXT } from "./reference-types.ts";

/** A word that says by itself that it is nobody's business: it would be copied to all nodes, kept and shown. */
export const SECRET_KEY = /^(?!.*_(script|file)$).*(passw|secret|token|community|api_?key)/i;

/** The keys of `fencing`. Whatever of `device` is not ours goes to the agent as it stands. */
export const FENCING_KEYS: readonly ReferenceKey[] = [
  {
    section: "fencing.watchdog",
    key: "device",
    type: { kind: "path" },
    use: "honoured",
    default: "/dev/watchdog",
    meaning:
      "The watchdog's character device, the same on every host. Armed only while a machine runs which no gate holds and which is not on a disk of its host; nobody else may hold it.",
    formula:
      "Fed five times in `timeout`, while the host's lease runs, and not after that: then it resets the host. Such a machine is started elsewhere by itself `token` + 3 x `timeout` after the fence.",
    tradeOff:
      "A host that is merely cut off for longer than `timeout` is reset, with everything that runs on it. A host without the device starts such machines all the same; for those a human is waited for.",
  },
  {
    section: "fencing.watchdog",
    key: "timeout",
    type: { kind: "integer", minimum: 5000, maximum: 300_000, unit: "milliseconds" },
    use: "honoured",
    default: "10000",
    meaning: "Unfed for so long, it resets the host. Whole seconds, and three tokens at the least.",
    tradeOff:
      "Shorter, machines start elsewhere sooner, and a short outage, a restart of Quorate or a busy host is a reset; longer, later.",
  },
  {
    section: "fencing.watchdog",
    key: "softdog",
    type: BOOLEAN,
    use: "honoured",
    default: "no",
    meaning:
      "`yes`: a watchdog of the kernel's own (softdog) will do where the board has none. It stands still when the kernel does, and then promises nothing.",
  },
  {
    section: "fencing.device",
    key: "node",
    type: { kind: "integer", minimum: 1, maximum: 0xffff_ffff },
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning: "The node whose host the device switches off, by its id. One device for each node at most.",
    tradeOff: "A host with two supplies needs an agent that switches both, as a management board does.",
  },
  {
    section: "fencing.device",
    key: "agent",
    type: {
      kind: "pattern",
      name: "a fence agent",
      pattern: /^(fence_[A-Za-z0-9_]{1,60}|(?!.*\/\.\.?(\/|$))\/[^\s]+)$/,
      rule: "its name, as fence_ipmilan, or an absolute path",
    },
    use: "honoured",
    defaultMeaning: "none: needed in each section",
    meaning:
      "The program that switches the host off, of Debian's fence-agents or one that speaks as they do: `key=value` lines on its input; `action=status` ends with 0 for on and 2 for off. Every node that may lead needs it.",
    formula:
      "The master runs it, and only for a host that is out of the view, fenced by its lease and unheard, while a machine that the gates do not hold waits for it: `status`, then `off`, then `status` until it says off.",
    tradeOff: "The host stays off until somebody switches it on.",
  },
  {
    section: "fencing.device",
    key: "timeout",
    type: { kind: "integer", minimum: 100, maximum: 600_000, unit: "milliseconds" },
    use: "honoured",
    default: "30000",
    meaning:
      "How long one call of the agent may take before it is killed, and how long `off` may take to show in `status`.",
    tradeOff:
      "Shorter than the agent really needs, it never succeeds; longer, a device that hangs is noticed later.",
  },
  {
    section: "fencing.device",
    key: "secrets_file",
    type: { kind: "path" },
    use: "honoured",
    defaultMeaning: "none",
    meaning:
      "A file with more of the agent's parameters, one `key=value` on a line: what must not be in this configuration, which is copied to all nodes and kept. Read anew for each call; root's, mode 0600, the same path on every node that may lead.",
  },
  {
    section: "fencing.device",
    key: "the agent's own",
    family: /^(?!(?:node|agent|timeout|secrets_file|action)$)[a-z][a-z0-9_-]{0,63}$/,
    type: TEXT,
    use: "honoured",
    defaultMeaning: "none",
    meaning:
      "Every other key is the agent's parameter of that name (`ip`, `username`, `plug`, `lanplus`, `password_script` …; see its manual page). `action` is not yours to give, and a password in here is refused.",
  },
];
