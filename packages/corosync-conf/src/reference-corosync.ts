import type { ReferenceKey } from "./reference-types.ts";
import { BOOLEAN, MILLISECONDS, TEXT, UNSIGNED_32 } from "./reference-types.ts";
import type { ValueType } from "./value-types.ts";

const DERIVED = "Every duration is derived from `token`.";
const NO_RING = "There is no rotating token here: each node sends its own heartbeats.";
const ENCRYPTED = "Heartbeats are always encrypted and authenticated (AES-256-GCM) with the cluster key.";
const ALL_RINGS = "Heartbeats go out on every ring at the same time.";
const NO_KNET = "Rings are plain UDP; a heartbeat fits into one small datagram.";
const RESOLVED = "Addresses are written as such, or looked up in /etc/hosts.";

function ignored(section: string, keys: readonly string[], type: ValueType, meaning: string): ReferenceKey[] {
  return keys.map((key) => ({ section, key, type, use: "ignored", meaning }));
}

/** What corosync knows, and we keep without acting on it. `meaning` says why. */
export const IGNORED_KEYS: readonly ReferenceKey[] = [
  ...ignored("", ["compatibility"], TEXT, "Told corosync 1 to speak to older releases."),
  ...ignored(
    "totem",
    ["version"],
    UNSIGNED_32,
    "Version of the file's format; corosync needs `version: 2` to read the file.",
  ),
  ...ignored(
    "totem",
    ["token_retransmit", "hold", "join", "send_join", "consensus", "merge", "downcheck", "max_network_delay"],
    MILLISECONDS,
    DERIVED,
  ),
  ...ignored("totem", ["token_coefficient"], MILLISECONDS, "T is `token` itself, for any number of nodes."),
  ...ignored("totem", ["token_warning"], UNSIGNED_32, DERIVED),
  ...ignored(
    "totem",
    [
      "token_retransmits_before_loss_const",
      "fail_recv_const",
      "seqno_unchanged_const",
      "heartbeat_failures_allowed",
      "window_size",
      "max_messages",
      "miss_count_const",
      "threads",
    ],
    UNSIGNED_32,
    NO_RING,
  ),
  ...ignored("totem", ["cancel_token_hold_on_retransmit", "vsftype"], TEXT, NO_RING),
  ...ignored("totem", ["secauth"], BOOLEAN, ENCRYPTED),
  ...ignored("totem", ["crypto_type", "crypto_cipher", "crypto_hash", "crypto_model"], TEXT, ENCRYPTED),
  ...ignored("totem", ["keyfile"], TEXT, "The cluster key has its own place; see `quorate init`."),
  ...ignored(
    "totem",
    ["key"],
    TEXT,
    "The cluster key has its own file. A key in this file can be read by whoever reads the file: better delete it.",
  ),
  ...ignored("totem", ["rrp_mode", "link_mode"], TEXT, ALL_RINGS),
  ...ignored(
    "totem",
    [
      "rrp_problem_count_timeout",
      "rrp_problem_count_threshold",
      "rrp_problem_count_mcast_threshold",
      "rrp_token_expired_timeout",
      "rrp_autorecovery_check_timeout",
    ],
    UNSIGNED_32,
    ALL_RINGS,
  ),
  ...ignored("totem", ["netmtu", "knet_mtu", "knet_pmtud_interval"], UNSIGNED_32, NO_KNET),
  ...ignored("totem", ["knet_compression_model"], TEXT, NO_KNET),
  ...ignored("totem", ["knet_compression_threshold", "knet_compression_level"], UNSIGNED_32, NO_KNET),
  ...ignored("totem", ["ip_version"], TEXT, RESOLVED),
  ...ignored("totem", ["ip_dscp"], TEXT, "Heartbeats are not marked."),
  ...ignored("totem", ["clear_node_high_bit"], BOOLEAN, "Node ids are written, not derived."),
  ...ignored(
    "totem",
    ["nodeid"],
    UNSIGNED_32,
    "The local node's id is given to `quorate node run`, not to a file that all nodes share.",
  ),
  ...ignored(
    "totem",
    ["block_unlisted_ips"],
    BOOLEAN,
    "What doesn't carry the cluster key, or comes from an unlisted node, is always dropped.",
  ),
  ...ignored(
    "totem.interface",
    [
      "knet_link_priority",
      "knet_ping_interval",
      "knet_ping_timeout",
      "knet_ping_precision",
      "knet_pong_count",
    ],
    UNSIGNED_32,
    NO_KNET,
  ),
  ...ignored("totem.interface", ["knet_transport"], TEXT, NO_KNET),
  ...ignored(
    "totem.interface",
    ["broadcast"],
    BOOLEAN,
    "Heartbeats are never broadcast; without `mcastaddr` they go to each node by unicast.",
  ),
  ...ignored(
    "quorum",
    ["provider"],
    TEXT,
    "There is one way to reckon quorum, that of corosync_votequorum; it is always on.",
  ),
  ...ignored("quorum", ["last_man_standing_window"], MILLISECONDS, "Belongs to last_man_standing."),
  ...ignored("quorum", ["auto_tie_breaker_node"], TEXT, "Belongs to auto_tie_breaker."),
];

const SWITCH: ValueType = BOOLEAN;

/** What corosync does and we don't, by our own decision; see not-honoured.ts for when that is dangerous. */
export const NOT_HONOURED_KEYS: readonly ReferenceKey[] = [
  {
    section: "quorum",
    key: "two_node",
    type: SWITCH,
    use: "notHonoured",
    defaultMeaning: "off",
    meaning: "Lets one of two nodes go on alone. A majority of two is two.",
    tradeOff:
      "Dangerous to ignore with two nodes: the death of either stops both, which the file says must not happen. A third voter (`prio: 0`) gives it without the risk of two masters.",
  },
  {
    section: "quorum",
    key: "wait_for_all",
    type: SWITCH,
    use: "notHonoured",
    defaultMeaning: "off (on with two_node)",
    meaning: "No quorum after a cold start until all nodes were seen at once.",
    tradeOff:
      "Harmless to ignore: a quorum here is always a majority of all votes, and a machine starts only when every other node has answered that it has no copy, or is fenced.",
  },
  {
    section: "quorum",
    key: "auto_tie_breaker",
    type: SWITCH,
    use: "notHonoured",
    defaultMeaning: "off",
    meaning: "Of two equal halves, the one with a certain node goes on.",
    tradeOff:
      "Dangerous to ignore only where the loss of one node leaves no majority. Otherwise an even split stops both halves, which is safe.",
  },
  {
    section: "quorum",
    key: "last_man_standing",
    type: SWITCH,
    use: "notHonoured",
    defaultMeaning: "off",
    meaning: "Lowers the expected votes as nodes die one after the other.",
    tradeOff: "Harmless to ignore: stricter. Remove dead nodes from the nodelist to go on with fewer.",
  },
  {
    section: "quorum",
    key: "allow_downscale",
    type: SWITCH,
    use: "notHonoured",
    defaultMeaning: "off",
    meaning: "Lowers the expected votes when nodes leave in an orderly way.",
    tradeOff: "Harmless to ignore: stricter.",
  },
  {
    section: "quorum",
    key: "expected_votes_tracking",
    type: SWITCH,
    use: "notHonoured",
    defaultMeaning: "off",
    meaning: "Keeps the highest number of expected votes ever seen.",
    tradeOff:
      "Harmless to ignore: votes change only by a committed configuration, which needs the old quorum too.",
  },
  {
    section: "resources",
    key: "watchdog_device",
    type: TEXT,
    use: "notHonoured",
    defaultMeaning: "off",
    meaning: "Watchdog that corosync feeds.",
    tradeOff: "Harmless to ignore here: which watchdog is in force, if any, is in `quorate status`.",
  },
];
