import { BallotSchema, BootIdSchema, ConfigRefSchema, NodeIdSchema } from "@quorate/contracts";
import { type Heartbeat, INCARNATION_MAX } from "@quorate/core-membership";
import { z } from "zod";

const IncarnationSchema = z.int().min(1).max(INCARNATION_MAX);

/** The content of a datagram, as a peer that holds the key may say it; the ballot is checked here, once. */
export const HeartbeatSchema = z.object({
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
  ballot: BallotSchema.nullable(),
}) satisfies z.ZodType<Heartbeat>;
