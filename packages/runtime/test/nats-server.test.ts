import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventSubject, localSubject, requestSubject } from "@quorate/contracts";
import { connect, type NatsConnection } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  breakRoute,
  type NatsServerCredentials,
  type NatsServerPaths,
  renderNatsServerConf,
} from "../src/index.ts";
import { freePort } from "./free-port.ts";
import { makeConfig, NatsFixture, temporaryFolder, until } from "./nats-fixture.ts";

const secrets: NatsServerCredentials = {
  service: { user: "service", password: "secret-1" },
  reader: { user: "reader", password: "secret-2" },
  route: { user: "route", password: "secret-3" },
};

/** A cluster certificate as `quorate init` makes one, by the stock tool. */
function makeCertificate(): NatsServerPaths {
  const folder = temporaryFolder();
  folders.push(folder);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority");
  writeFileSync(
    join(folder, "extensions"),
    "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n",
  );
  openssl("req", ...newKey.slice(0, 5), "-keyout", "cluster.key", "-out", "cluster.csr", "-subj", "/CN=node");
  const signing = [
    "x509",
    "-req",
    "-in",
    "cluster.csr",
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
  ];
  openssl(...signing, "-out", "cluster.crt", "-extfile", "extensions", "-days", "2");
  return {
    certificateFile: join(folder, "cluster.crt"),
    keyFile: join(folder, "cluster.key"),
    caFile: join(folder, "ca.crt"),
  };
}

let servers: NatsFixture[];
const folders: string[] = [];
let clients: NatsConnection[];
let ports: number[];
const addresses = ["127.0.0.2", "127.0.0.3"];

async function client(index: number, who: "service" | "reader"): Promise<NatsConnection> {
  const { user, password: pass } = secrets[who];
  const connection = await connect({ servers: `nats://127.0.0.1:${ports[index]}`, user, pass });
  clients.push(connection);
  return connection;
}

beforeEach(async () => {
  servers = [];
  clients = [];
  ports = [await freePort(), await freePort()];
});

afterEach(async () => {
  await Promise.all(clients.map((connection) => connection.close()));
  await Promise.all(servers.map((server) => server.remove()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function startPair(pathsOf: (index: number) => NatsServerPaths): Promise<number> {
  const routePort = await freePort();
  const config = makeConfig(routePort, addresses);
  for (const index of [0, 1]) {
    const conf = renderNatsServerConf(config, index + 1, secrets, pathsOf(index), ports[index]);
    const server = new NatsFixture(conf);
    servers.push(server);
    await server.start();
  }
  return routePort;
}

describe("nats-server of a node", () => {
  it("joins its peers by mutual TLS; a stock client reads events of all nodes and nothing else", async () => {
    const paths = makeCertificate();
    await startPair(() => paths);
    const service = await client(0, "service");
    const reader = await client(1, "reader");
    const got: string[] = [];
    const refused: string[] = [];
    void (async () => {
      for await (const status of reader.status()) {
        if (status.type === "error") refused.push(status.error.message);
      }
    })();
    reader.subscribe("quorate.v1.>", { callback: (_error, message) => void got.push(message.subject) });
    await reader.flush();
    const event = eventSubject("VMmanager", 1, "quorum", "role_changed");
    const local = localSubject("VMmanager", 1, "grant");
    const request = requestSubject("VMmanager", 1, "quorum-evaluator", "move");
    await until("the event crossed", () => {
      service.publish(local, "{}");
      service.publish(request, "{}");
      service.publish(event, "{}");
      return got.length > 3;
    });
    expect([...new Set(got)]).toEqual([event]);

    reader.subscribe(localSubject("VMmanager", 2, "grant"), { callback: () => undefined });
    await until("local topic refused", () => refused.some((text) => text.includes("local.grant")));
    let orders = 0;
    service.subscribe(request, { callback: () => void (orders += 1) });
    await service.flush();
    reader.publish(request, "{}");
    reader.publish(event, "{}");
    await until("publishing refused", () => refused.filter((text) => /publish/i.test(text)).length === 2);
    expect(orders).toBe(0);
  });

  it("does not join a server with the certificate of another cluster", async () => {
    const certificates = [makeCertificate(), makeCertificate()];
    await startPair((index) => certificates[index] ?? makeCertificate());
    await until("refused", () =>
      /certificate|unknown authority/i.test(servers.map(({ log }) => log).join("")),
    );
    const [sender, receiver] = [await client(0, "service"), await client(1, "service")];
    let got = 0;
    receiver.subscribe("quorate.v1.x.1.quorum.y", { callback: () => void (got += 1) });
    await receiver.flush();
    sender.publish("quorate.v1.x.1.quorum.y", "{}");
    await sender.flush();
    await receiver.flush();
    expect(got).toBe(0);
  });

  it("dials again at once when a route is broken by us", async () => {
    const paths = makeCertificate();
    const routePort = await startPair(() => paths);
    const created = () =>
      servers
        .map(({ log }) => log)
        .join("")
        .split("Route connection created").length - 1;
    await until("joined", () => created() >= 2);
    const before = created();
    // On loopback the one that dialled speaks from 127.0.0.1, and either may have dialled.
    const broken = await Promise.all(["127.0.0.1", "127.0.0.3"].map((peer) => breakRoute(peer, routePort)));
    expect(Math.max(...broken)).toBeGreaterThan(0);
    await until("joined again", () => created() > before);
  });

  it("takes a new node list on SIGHUP without losing its clients", async () => {
    const paths = makeCertificate();
    const routePort = await freePort();
    const alone = makeConfig(routePort, addresses.slice(0, 1));
    const server = new NatsFixture(renderNatsServerConf(alone, 1, secrets, paths, ports[0]));
    servers.push(server);
    await server.start();
    const both = makeConfig(routePort, addresses);
    const other = new NatsFixture(
      renderNatsServerConf({ ...both, nodes: both.nodes.slice(1) }, 2, secrets, paths, ports[1]),
    );
    servers.push(other);
    await other.start();
    const sender = await client(1, "service");
    const receiver = await client(0, "service");
    let got = 0;
    receiver.subscribe("quorate.v1.>", { callback: () => void (got += 1) });
    await receiver.flush();
    server.rewrite(renderNatsServerConf(both, 1, secrets, paths, ports[0]));
    await until("crossed", () => {
      sender.publish("quorate.v1.x.1.quorum.y", "{}");
      return got > 0;
    });
    expect(receiver.isClosed()).toBe(false);
    expect(receiver.stats().inMsgs).toBe(got);
  });
});
