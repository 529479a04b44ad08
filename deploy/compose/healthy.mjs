// The container's health check: all five services answer that they are ready. Losing quorum is a state of the cluster
// and not of this container: it stays healthy.
const ports = [7401, 7402, 7403, 7404, 7405];
const problems = await Promise.all(
  ports.map(async (port) => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) });
      return response.ok ? null : `${port}: ${await response.text()}`;
    } catch (error) {
      return `${port}: ${String(error)}`;
    }
  }),
);
const found = problems.filter((problem) => problem !== null);
console.log(found.length === 0 ? "all five are ready" : found.join("; "));
process.exitCode = found.length === 0 ? 0 : 1;
