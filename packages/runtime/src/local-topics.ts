import {
  BallotMessageSchema,
  ConfigMessageSchema,
  GrantMessageSchema,
  HeardMessageSchema,
  type LocalTopic,
  PeersMessageSchema,
  QuorumMessageSchema,
  ReportMessageSchema,
  StoredMessageSchema,
} from "@quorate/contracts";
import type { z } from "zod";

/** The form of every local topic. */
export const LOCAL_SCHEMAS = {
  ballot: BallotMessageSchema,
  heard: HeardMessageSchema,
  peers: PeersMessageSchema,
  grant: GrantMessageSchema,
  report: ReportMessageSchema,
  stored: StoredMessageSchema,
  config: ConfigMessageSchema,
  quorum: QuorumMessageSchema,
} as const satisfies Record<LocalTopic, z.ZodType>;

export type LocalMessage<Topic extends LocalTopic> = z.output<(typeof LOCAL_SCHEMAS)[Topic]>;
