import { X509Certificate } from "node:crypto";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EvaluatorStateSchema, QuorateError } from "@quorate/contracts";
import { readStateFile } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { initNode } from "../src/commands/init.ts";
import { documentDigest } from "@quorate/corosync-conf";
import { checkClusterKeys } from "../src/keys/cluster-keys.ts";
import { CLUSTER_CONF, temporaryFolder } from "./fixture.ts";

let folder: string;
let options: { config: string; nodeId: number; stateDir: string; keysDir: string; force: boolean };

beforeEach(() => {
  folder = temporaryFolder();
  options = {
    config: join(folder, "cluster.conf"),
    nodeId: 4,
    stateDir: join(folder, "state"),
    keysDir: join(folder, "keys"),
    force: false,
  };
  writeFileSync(options.config, CLUSTER_CONF);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function failure(act: () => unknown): QuorateError {
  try {
    act();
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("quorate init", () => {
  it("writes keys that only root can read, and a first state that names the file's bytes", () => {
    initNode(options);
    checkClusterKeys(options.keysDir);
    expect(statSync(join(options.keysDir, "authkey"))).toMatchObject({ size: 256 });
    expect(statSync(join(options.keysDir, "authkey")).mode & 0o777).toBe(0o400);
    const running = readFileSync(join(options.stateDir, "config", "running.conf"), "utf8");
    expect(running).toBe(CLUSTER_CONF);
    const state = readStateFile(join(options.stateDir, "evaluator.json"), EvaluatorStateSchema);
    expect(state).toMatchObject({
      node: 4,
      term: 0,
      stored: { term: 0, version: 1, digest: documentDigest(CLUSTER_CONF) },
      amnesic: false,
    });
  });

  it("makes a certificate that OpenSSL accepts for both ends, whatever the date", () => {
    initNode(options);
    const at = (name: string) => join(options.keysDir, name);
    const certificate = new X509Certificate(readFileSync(at("cluster.crt")));
    const authority = new X509Certificate(readFileSync(at("ca.crt")));
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.checkIssued(authority)).toBe(true);
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkIP("172.31.223.48")).toBe("172.31.223.48");
    for (const purpose of ["sslserver", "sslclient"]) {
      const args = [
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        at("ca.crt"),
        at("cluster.crt"),
      ];
      expect(execFileSync("openssl", args, { encoding: "utf8" })).toContain("OK");
    }
    const far = ["verify", "-attime", "4102444800", "-CAfile", at("ca.crt"), at("cluster.crt")];
    expect(execFileSync("openssl", far, { encoding: "utf8" })).toContain("OK");
  });

  it("names IPv6 addresses in the certificate", () => {
    writeFileSync(options.config, CLUSTER_CONF.replaceAll("172.31.223.4", "fd51:223::4"));
    initNode(options);
    const certificate = new X509Certificate(readFileSync(join(options.keysDir, "cluster.crt")));
    expect(certificate.checkIP("fd51:223::46")).toBeDefined();
  });

  it("keeps keys that are there and refuses to forget a state", () => {
    initNode(options);
    const key = readFileSync(join(options.keysDir, "authkey"));
    expect(failure(() => initNode(options))).toMatchObject({ code: "UNSAFE", exitCode: 107 });
    initNode({ ...options, force: true });
    expect(readFileSync(join(options.keysDir, "authkey"))).toEqual(key);
    initNode({ ...options, nodeId: 2, stateDir: join(folder, "other") });
    expect(readFileSync(join(options.keysDir, "authkey"))).toEqual(key);
  });

  it("refuses a node that is not in the list, and a broken file with its place", () => {
    expect(failure(() => initNode({ ...options, nodeId: 5 }))).toMatchObject({ code: "NODE_UNKNOWN" });
    writeFileSync(options.config, CLUSTER_CONF.replace("prio: 99", "prio: high"));
    const error = failure(() => initNode(options));
    expect(error.exitCode).toBe(78);
    expect(error.message).toMatch(/cluster\.conf:\d+:\d+: /);
    expect(existsSync(options.stateDir)).toBe(false);
  });

  it("refuses keys that others can read, that are missing, or too small", () => {
    initNode(options);
    const key = join(options.keysDir, "authkey");
    chmodSync(key, 0o644);
    expect(failure(() => checkClusterKeys(options.keysDir))).toMatchObject({ code: "KEY_MODE" });
    chmodSync(key, 0o600);
    writeFileSync(key, "short");
    expect(failure(() => checkClusterKeys(options.keysDir))).toMatchObject({ code: "KEY_INVALID" });
    rmSync(key);
    expect(failure(() => checkClusterKeys(options.keysDir))).toMatchObject({ code: "KEY_INVALID" });
    rmSync(join(options.keysDir, "ca.crt"));
    const again = { ...options, force: true };
    expect(failure(() => initNode(again)).message).toContain("only a part of the cluster certificate");
  });
});
