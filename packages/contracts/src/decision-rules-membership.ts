/** Of membership: who is heard. */
import type { DecisionTable } from "./decision-rules.ts";

export const MEMBERSHIP_DECISIONS = {
  "heard-both-ways": {
    weight: "notable",
    rule: "A peer is joined while any link carries both ways: it is heard, and it says that it hears this node.",
    otherwise: "Silence of one direction for 0.6 tokens.",
  },
  "not-heard-yet": {
    weight: "detail",
    rule: "A peer that has not been heard since this process started is suspect for one token, no more.",
    otherwise: "A heartbeat of the peer.",
  },
  "heartbeats-missing": {
    weight: "detail",
    rule: "After 0.6 tokens without a heartbeat on any link a peer is suspect; nobody is removed for that.",
    otherwise: "A heartbeat of the peer.",
  },
  "answer-missing": {
    weight: "detail",
    rule: "A peer whose heartbeats no longer say that they hear this node is suspect.",
    otherwise: "A heartbeat of the peer that names a recent one of ours.",
  },
  silent: {
    weight: "notable",
    rule: "A peer from which no heartbeat came for a token, on any link, has failed. From outside a dead host and a dead network look alike.",
    otherwise: "One authentic heartbeat of the peer within the token.",
  },
  "never-heard": {
    weight: "notable",
    rule: "A peer from which no heartbeat came for a token since this process started has failed.",
    otherwise: "One authentic heartbeat of the peer within the token.",
  },
  "not-heard-by-peer": {
    weight: "notable",
    rule: "A peer that is heard, and says for a token that it does not hear this node, is one-way: frames from here to there are lost.",
    otherwise: "A heartbeat of the peer that names a recent one of ours.",
  },
  goodbye: {
    weight: "notable",
    rule: "A peer that says goodbye has left at once; nothing is waited for.",
    otherwise: "A kill instead of a stop: the peer would have been silent for a token first.",
  },
  "quiet-stop": {
    weight: "detail",
    rule: "This process stops alone, the node goes on: it says no goodbye, so that nobody takes the node for gone.",
    otherwise: "The evaluator leaving the view: then membership says goodbye.",
  },
  "link-both-ways": {
    weight: "detail",
    rule: "A link is up while frames pass in both directions.",
    otherwise: "Half a token of silence in one direction.",
  },
  "link-silent": {
    weight: "detail",
    rule: "A link on which the peer was not heard for 0.6 tokens is down.",
    otherwise: "A heartbeat on this ring.",
  },
  "link-not-heard-by-peer": {
    weight: "detail",
    rule: "A link on which the peer is heard, but does not hear this node, is down.",
    otherwise: "A heartbeat that names a recent one of ours on this ring.",
  },
  "link-lossy": {
    weight: "notable",
    rule: "A link that loses datagrams stays up while any arrive in time: patience and doubled heartbeats cover the rest.",
    otherwise: "A network that loses less than a twentieth.",
  },
  "link-clean": {
    weight: "detail",
    rule: "A link is called clean again below two percent of loss.",
    otherwise: "More loss.",
  },
  "own-loop-late": {
    weight: "notable",
    rule: "A process that was late itself does not accuse others: the time in which it did not listen is nobody's silence (Lifeguard).",
    otherwise: "Being scheduled in time.",
  },
  "own-loop-on-time": {
    weight: "detail",
    rule: "Patience goes back to 1 within 20 tokens of being on time.",
    otherwise: "Being late again.",
  },
  "datagrams-rejected": {
    weight: "notable",
    rule: "A datagram that cannot be authenticated, is replayed, too large, or of another cluster is counted and dropped.",
    otherwise: "The right key, cluster name and node id at its sender.",
  },
  "duplicate-node-id": {
    weight: "important",
    rule: "One node id, one machine: whoever hears its own id from a stranger says so and trusts neither.",
    otherwise: "An id of its own for every machine.",
  },
  "incarnation-lifted": {
    weight: "detail",
    rule: "A sender whose incarnation is behind what its peers know takes a higher one: a clock that went back locks nobody out.",
    otherwise: "A state folder that was kept.",
  },
  ADDRESS_MISSING: {
    weight: "important",
    rule: "Heartbeats go out from the address of the node list; without it on an interface this node is deaf and dumb on that ring.",
    otherwise: "The address of the node list on an interface of this host.",
  },
} as const satisfies DecisionTable;
