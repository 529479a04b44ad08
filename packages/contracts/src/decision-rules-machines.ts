import type { DecisionTable } from "./decision-rules.ts";

/** Virtual machines: what a host does with its own, and where the master lets them run. */
export const MACHINE_DECISIONS = {
  VM_REIGN: {
    weight: "notable",
    rule: "A new master first asks every node what it has, with its term, and places machines only then.",
    otherwise: "A restart of the same mastership, which asks too.",
  },
  VM_RECOGNISED: {
    weight: "detail",
    rule: "The existing placement wins: a copy that was never given away stays where it is.",
    otherwise: "A newer placement known to somebody who answered.",
  },
  VM_PLACED: {
    weight: "important",
    rule: "A machine is given to a node only when every other node has answered under this term that it has no copy, or is fenced (INV-4).",
    otherwise: "A node that neither answers nor is fenced: then it waits.",
  },
  VM_STARTED: {
    weight: "important",
    rule: "A machine is started once for each placement, under a lease that runs, with its record on disk and its storage's gate open (INV-7).",
    otherwise: "No word of a master since the last lapse of the lease.",
  },
  VM_REACHABLE: {
    weight: "notable",
    rule: "The gates of a machine open last, under this host's lease and a master's word on the placement (INV-3).",
    otherwise: "A lease that lapses: they shut by themselves.",
  },
  VM_LEASE_LAPSED: {
    weight: "important",
    rule: "Without a lease nothing of ours runs on: the gates shut by themselves and the machine is suspended.",
    otherwise: "A quorum that grants this node its lease.",
  },
  VM_ORDER_REFUSED: {
    weight: "detail",
    rule: "An order for another life of this process, of an older term, view or number is not obeyed.",
    otherwise: "An order of the present term, sent again by itself.",
  },
  VM_FOREIGN: {
    weight: "notable",
    rule: "A machine that nobody of us ordered is left alone until a master says that it is another's.",
    otherwise: "`quorate vm define`, which takes it under care.",
  },
  VM_ENDED: {
    weight: "notable",
    rule: "A machine that ends by itself is started again, on the same host or another, while it is wanted to run.",
    otherwise: "`quorate vm stop`, after which it stays down.",
  },
  VM_FAILED: {
    weight: "important",
    rule: "A start that came to nothing is tried elsewhere, later and later, for ever.",
    otherwise: "A start that succeeds.",
  },
  VM_OWNER_NOT_FENCED: {
    weight: "important",
    rule: "A machine of a node that is gone waits until the last lease that a quorum could have granted it is over.",
    otherwise: "The fence, about a token after the death; or the node's own word.",
  },
  VM_WAITS_FOR_ANSWER: {
    weight: "notable",
    rule: "A member that has not answered under this term may have a copy: silence is no refusal.",
    otherwise: "Its answer, or its removal and fence.",
  },
  VM_BOOT_GRACE: {
    weight: "notable",
    rule: "After a cold start a node not yet seen is given boot_grace before its machines are placed elsewhere.",
    otherwise: "The node being heard, or the end of boot_grace.",
  },
  VM_LOCAL_STORAGE: {
    weight: "important",
    rule: "A machine whose disks lie on one host alone runs nowhere else.",
    otherwise: "Disks on shared storage.",
  },
  VM_NEEDS_HUMAN: {
    weight: "important",
    rule: "What passes by the gates is not fenced by a lapsed lease: somebody has to make sure that the host is off.",
    otherwise: "`quorate node confirm-off`, or interfaces and disks that the gates hold.",
  },
  HOST_OFF_CONFIRMED: {
    weight: "important",
    rule: "An operator's word that a fenced, unheard host is off is taken for this mastership, and what no gate holds is placed.",
    otherwise: "A host that is a member, is heard, or is not fenced: then the word is refused.",
  },
  VM_WAITS_FOR_DEVICE: {
    weight: "important",
    rule: "What passes by the gates waits until the power device of its silent host says that the host is off.",
    otherwise: "The device's answer, or `quorate node confirm-off`.",
  },
  VM_WAITS_FOR_RESET: {
    weight: "important",
    rule: "What passes by the gates and was started under a watchdog waits until that has reset its silent host for sure: T + 3 x its timeout after the fence.",
    otherwise: "The host's return, its power device, or `quorate node confirm-off`.",
  },
  WATCHDOG_STARVES: {
    weight: "important",
    rule: "Without a lease a host with machines that no gate holds does not feed its watchdog, which resets it: others count on that.",
    otherwise: "A lease before the watchdog's timeout is over.",
  },
  WATCHDOG_FED: {
    weight: "important",
    rule: "Under a lease, or with nothing here that needs it, the watchdog is fed or taken down.",
    otherwise: "No lease, and a machine that no gate holds: then the host is reset.",
  },
  WATCHDOG_MISSING: {
    weight: "important",
    rule: "A machine that was started under a watchdog once is started under one or not at all: others may still count on it.",
    otherwise: "A host whose watchdog can be armed.",
  },
  WATCHDOG_LOST: {
    weight: "important",
    rule: "A machine that was promised a watchdog is ended while the lease runs when its host's cannot be fed or armed any more: others count on the reset.",
    otherwise: "A watchdog that can be had again within three attempts.",
  },
  HOST_OFF_ORDERED: {
    weight: "important",
    rule: "The master has a host's power cut when that host is out, fenced by its lease and unheard, and a machine which has a place elsewhere waits for it.",
    otherwise: "A host that is a member or is heard: none such is ever switched off.",
  },
  HOST_OFF_PROVED: {
    weight: "important",
    rule: "A host whose power device says that it is off is off, for this mastership, and what no gate holds is placed.",
    otherwise: "A device that says nothing, or that the host is on.",
  },
  HOST_OFF_FAILED: {
    weight: "important",
    rule: "A power device that fails proves nothing: it is tried again, later and later, for ever.",
    otherwise: "A device that answers; `quorate node confirm-off` meanwhile.",
  },
  HOST_OFF_VOID: {
    weight: "important",
    rule: "A proof that a host is off ends with its return, with any sign of life, and with the mastership.",
    otherwise: "Silence of the host for as long as this master leads.",
  },
  VM_NO_ROOM: {
    weight: "important",
    rule: "A machine that fits on no host, by memory, processors, limits and groups, waits.",
    otherwise: "Room, or other limits in the section `machines`.",
  },
  VM_STORAGE_GONE: {
    weight: "important",
    rule: "When no host reaches a machine's storage, the storage is to blame, and no host is punished for it.",
    otherwise: "The storage answering one of the hosts.",
  },
  STORAGE_GONE: {
    weight: "important",
    rule: "A host that gets no answer of a storage several times in a row says so: nothing that needs it is placed there, and what runs there is left as it is.",
    otherwise: "One answer of the storage.",
  },
  STORAGE_BACK: {
    weight: "notable",
    rule: "One answer of a storage is enough for its host to be given machines again, and to resume at once those that wait for it.",
    otherwise: "No answer, several times in a row.",
  },
  VM_MOVING: {
    weight: "notable",
    rule: "A live move starts a paused, gated copy at the target; ownership passes when the source's disk says that it is over.",
    otherwise: "`quorate vm policy --move restart`: shut down and started anew.",
  },
  VM_MOVE_WAITS: {
    weight: "notable",
    rule: "A host has part in so many live moves at a time: the others run on where they are until it is their turn.",
    otherwise: "A higher `live_moves_per_node` in the section `machines`.",
  },
  VM_MOVED: {
    weight: "important",
    rule: "The source said, from its disk, that it is over and where it went: the target is the owner.",
    otherwise: "A source that still has a running copy.",
  },
  VM_MOVE_FAILED: {
    weight: "important",
    rule: "A live move that does not succeed leaves the machine where it is.",
    otherwise: "Both hosts alive, the target's start and memory transfer succeeding.",
  },
  VM_RESTARTING: {
    weight: "notable",
    rule: "A machine that is not to be moved live is shut down first, and placed when its owner's disk says that it is over.",
    otherwise: "`quorate vm policy --move live`.",
  },
} as const satisfies DecisionTable;
