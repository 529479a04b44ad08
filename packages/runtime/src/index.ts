export { Afterwards } from "./afterwards.ts";
export { rehearseWhenSettled } from "./rehearse.ts";
export { breakRoute } from "./break-route.ts";
export {
  Bus,
  type BusCounters,
  type BusOptions,
  type BusSubscription,
  type LocalSubscribeOptions,
} from "./bus.ts";
export type { Answer, RequestBody, Verb } from "./bus-requests.ts";
export { BOOTTIME_JUMP_LIMIT_US, BoottimeJumpDetector, bootId, monotonicUs } from "./clock.ts";
export {
  type DecisionContext,
  type DecisionInput,
  DecisionRecorder,
  REMEMBERED_DECISIONS,
  recordBus,
} from "./decision-recorder.ts";
export {
  type DurableFileOptions,
  sweepTemporaries,
  writeFileDurably,
  writeFileDurablySync,
} from "./durable-file.ts";
export { type EventInput, EventPublisher, SharedSequence } from "./event-publisher.ts";
export { holdFolder } from "./folder-lock.ts";
export { type CrashRecording, crashRecordings } from "./crash-recording.ts";
export {
  type HealthAnswer,
  type HealthServer,
  type HealthServerOptions,
  startHealthServer,
} from "./health-server.ts";
export { InputRecorder, programDigest } from "./input-recorder.ts";
export { type Lifecycle, runService, STOP_LIMIT_MS } from "./lifecycle.ts";
export { LOCAL_SCHEMAS, type LocalMessage } from "./local-topics.ts";
export { createLogger, LOG_LEVELS, type Logger, type LogLevel, RateLimit } from "./logger.ts";
export { Metrics } from "./metrics.ts";
export {
  applyNatsServerConf,
  KEY_FILES,
  type NatsServerCredentials,
  type NatsServerPaths,
  natsServerPaths,
  readRoutePassword,
  reloadNatsServer,
  renderNatsServerConf,
} from "./nats-server.ts";
export {
  identifyProcess,
  isAlive,
  type ProcessIdentity,
  pidFilePath,
  processStartTime,
  readPidFile,
  writePidFile,
} from "./pid-file.ts";
export { type RecordingOrigin, RECORDING_FORMAT, sealRecording } from "./sealed-recording.ts";
export { LITTLE_ROOM_BYTES, roomInBytes } from "./room.ts";
export { readRunFile, writeRunFileSync } from "./run-file.ts";
export { type DocumentPlaces, type RunningDocument, readRunningDocument } from "./running-document.ts";
export {
  type BusCredentials,
  BusCredentialsSchema,
  DEFAULT_CONFIG_FILE,
  DEFAULT_HEALTH_BASE,
  DEFAULT_KEYS_DIR,
  DEFAULT_RUN_DIR,
  DEFAULT_STATE_DIR,
  loadServiceContext,
  type NodeFile,
  NodeFileSchema,
  readBusCredentials,
  readNodeFile,
  readRunningConf,
  type ServiceContext,
} from "./service-context.ts";
export { RECORDED_SERVICES, type RecordedService, serveRecording } from "./serve-recording.ts";
export {
  type RefusedFile,
  readStateFile,
  refusedStateFiles,
  setAside,
  takeStateFile,
  writeStateFile,
  writeStateFileSync,
} from "./state-file.ts";
export { StallWatch } from "./stall-watch.ts";
export { decodeTagged, encodeTagged } from "./tagged-json.ts";
export { QUORATE_VERSION } from "./version.ts";
