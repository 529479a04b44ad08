import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

const rooms = ["packages", "services", "deploy"];
const testFiles = rooms.flatMap((room) => [`${room}/*/test/**/*.test.ts`]);
const labTestFiles = rooms.flatMap((room) => [`${room}/*/test/**/*.lab.test.ts`]);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: testFiles,
          exclude: labTestFiles,
          maxWorkers: Math.max(2, availableParallelism() - 1),
          // Property tests on a busy machine; a test that waits for an event sets its own, shorter one.
          testTimeout: 60_000,
          hookTimeout: 20_000,
        },
      },
      {
        // Real hosts made of namespaces: needs root, and one at a time, for they measure time.
        test: {
          name: "lab",
          include: labTestFiles,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
