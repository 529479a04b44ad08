import { join } from "node:path";
import { QuorateError, ReportMessageSchema } from "@quorate/contracts";
import type { GrantName } from "@quorate/core-failover";
import { type Logger, readStateFile, writeStateFile } from "@quorate/runtime";

const ClosedSchema = ReportMessageSchema.shape.shutConfirmed;

/** The newest close, kept over a restart of this process. In the run directory: a boot ends every mastership. */
export class ClosedFile {
  readonly path: string;

  constructor(runDir: string) {
    this.path = join(runDir, "failover-actuator.state");
  }

  /**
   * A file that cannot be trusted is reported and counts as none: grants stamped before our start are void
   * anyway, and the evaluator does not grant under a name that it closed.
   */
  read(logger: Logger): GrantName | null {
    try {
      return readStateFile(this.path, ClosedSchema);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      logger.error({ code: error.code, hint: error.hint }, error.message);
      return null;
    }
  }

  /** Durable when it resolves. Throws QuorateError DISK_FULL. */
  async write(closed: GrantName): Promise<void> {
    await writeStateFile(this.path, closed);
  }
}
