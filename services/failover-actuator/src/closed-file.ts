import { join } from "node:path";
import { ReportMessageSchema } from "@quorate/contracts";
import type { GrantName } from "@quorate/core-failover";
import { type Logger, takeStateFile, writeStateFile } from "@quorate/runtime";

const ClosedSchema = ReportMessageSchema.shape.shutConfirmed.unwrap();

/** The newest close, kept over a restart of this process. In the run directory: a boot ends every mastership. */
export class ClosedFile {
  readonly path: string;

  constructor(runDir: string) {
    this.path = join(runDir, "failover-actuator.state");
  }

  /**
   * A file that cannot be trusted is reported and counts as none, which opens nothing: every grant built before our
   * start is void by its stamp, one built later comes from an evaluator that has persisted whatever it closed (or that
   * lost its own state and grants nothing), and a close that we had not carried out yet is said to us again.
   */
  read(logger: Logger): GrantName | null {
    const { state, refused } = takeStateFile(this.path, ClosedSchema);
    if (refused !== null) logger.error({ code: refused.code, hint: refused.hint }, refused.message);
    return state;
  }

  /** Durable when it resolves. Throws QuorateError DISK_FULL. */
  async write(closed: GrantName): Promise<void> {
    await writeStateFile(this.path, closed);
  }
}
