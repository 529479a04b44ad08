import {
  BALLOT_TEXT_MAX,
  BootIdSchema,
  ConfigRefSchema,
  MicrosecondsSchema,
  NodeIdSchema,
} from "@quorate/contracts";
import { type Heartbeat, INCARNATION_MAX } from "@quorate/core-membership";
import { z } from "zod";

const IncarnationSchema = z.int().min(1).max(INCARNATION_MAX);

/*
 * The content of a datagram: one line of JSON and, if there is a ballot, its text, which nobody here reads. What a
 * ballot has in the open is said once: its node and boot are the heartbeat's, its configuration is the hint.
 */
const HeadSchema = z.object({
  cluster: z.string().min(1).max(64),
  node: NodeIdSchema,
  incarnation: IncarnationSchema,
  bootId: BootIdSchema,
  goodbye: z.boolean(),
  config: ConfigRefSchema.nullable(),
  hears: z
    .array(
      z.object({
        node: NodeIdSchema,
        incarnation: IncarnationSchema,
        links: z.array(z.object({ ring: z.int().min(0).max(7), ageUs: z.int().min(0) })).max(8),
      }),
    )
    .max(1024),
  ballot: z.object({ atUs: MicrosecondsSchema, leaving: z.boolean() }).nullable(),
});

export function writeHeartbeat(heartbeat: Heartbeat): Buffer {
  const { ballot, ...head } = heartbeat;
  if (ballot === null) return Buffer.from(JSON.stringify(heartbeat));
  const open = { atUs: ballot.name.atUs, leaving: ballot.leaving };
  return Buffer.from(`${JSON.stringify({ ...head, config: ballot.stored, ballot: open })}\n${ballot.text}`);
}

/** What a peer that holds the key may say; null for anything else. */
export function readHeartbeat(content: Buffer): Heartbeat | null {
  const end = content.indexOf(10);
  let value: unknown;
  try {
    value = JSON.parse(content.toString("utf8", 0, end === -1 ? content.length : end));
  } catch {
    return null;
  }
  const parsed = HeadSchema.safeParse(value);
  if (!parsed.success) return null;
  const { ballot, ...head } = parsed.data;
  if (ballot === null) return end === -1 ? { ...head, ballot } : null;
  if (end === -1 || head.config === null || content.length - end > BALLOT_TEXT_MAX) return null;
  return {
    ...head,
    ballot: {
      node: head.node,
      name: { bootId: head.bootId, atUs: ballot.atUs },
      leaving: ballot.leaving,
      stored: head.config,
      text: content.toString("utf8", end + 1),
    },
  };
}
