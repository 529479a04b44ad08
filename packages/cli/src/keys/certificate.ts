import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP, SocketAddress } from "node:net";
import { bits, explicit, implicit, integer, octets, oid, sequence, set, text, time, yes } from "./der.ts";

/*
 * A cluster must not stop because a clock is wrong or a date has passed: the certificates are valid from before
 * the product existed and have, in the words of RFC 5280, no well-defined expiration date. They prove
 * membership of one cluster and nothing else; to replace them, replace the key folder on every node.
 */
const NOT_BEFORE = "20200101000000Z";
const NOT_AFTER = "99991231235959Z";

export interface ClusterCertificate {
  caPem: string;
  certificatePem: string;
  keyPem: string;
}

interface Extension {
  id: string;
  critical: boolean;
  value: Uint8Array;
}

/**
 * A new authority and one certificate of it for all nodes, for both ends of a connection. The authority's key
 * is thrown away, so nobody can issue a second certificate with it.
 */
export function createClusterCertificate(
  clusterName: string,
  namesAndAddresses: readonly string[],
): ClusterCertificate {
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const node = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authorityName = distinguishedName(`${clusterName} authority`);
  const caPem = certificate({
    issuer: authorityName,
    subject: authorityName,
    publicKey: authority.publicKey,
    signer: authority.privateKey,
    extensions: [
      { id: "2.5.29.19", critical: true, value: sequence(yes()) },
      // keyCertSign and cRLSign
      { id: "2.5.29.15", critical: true, value: bits(Buffer.from([0x06]), 1) },
      { id: "2.5.29.14", critical: false, value: octets(keyIdentifier(authority.publicKey)) },
    ],
  });
  const certificatePem = certificate({
    issuer: authorityName,
    subject: distinguishedName(`${clusterName} node`),
    publicKey: node.publicKey,
    signer: authority.privateKey,
    extensions: [
      { id: "2.5.29.19", critical: true, value: sequence() },
      // digitalSignature
      { id: "2.5.29.15", critical: true, value: bits(Buffer.from([0x80]), 7) },
      // serverAuth and clientAuth
      {
        id: "2.5.29.37",
        critical: false,
        value: sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")),
      },
      {
        id: "2.5.29.35",
        critical: false,
        value: sequence(implicit(0, keyIdentifier(authority.publicKey))),
      },
      { id: "2.5.29.17", critical: false, value: sequence(...alternativeNames(namesAndAddresses)) },
    ],
  });
  return {
    caPem,
    certificatePem,
    keyPem: node.privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

/** nats-server checks a route that it dials by address against the name `localhost`. */
function alternativeNames(namesAndAddresses: readonly string[]): Uint8Array[] {
  const unique = [...new Set(["localhost", ...namesAndAddresses])].sort();
  return unique.map((name) =>
    isIP(name) === 0 ? implicit(2, Buffer.from(name)) : implicit(7, addressBytes(name)),
  );
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const family = "ipv6";
  const [head = "", tail] =
    new SocketAddress({ address, family }).address.split("%", 1)[0]?.split("::") ?? [];
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const front = groups(head);
  const back = groups(tail ?? "");
  const middle = new Array<string>(8 - front.length - back.length).fill("0");
  return Buffer.from([...front, ...middle, ...back].map((group) => group.padStart(4, "0")).join(""), "hex");
}

function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(oid("2.5.4.3"), text(commonName.slice(0, 64)))));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20);
}

function certificate(options: {
  issuer: Buffer;
  subject: Buffer;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: Extension[];
}): string {
  const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
  const serial = randomBytes(16);
  serial[0] = (serial[0] ?? 0) | 0x40;
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    options.issuer,
    sequence(time(NOT_BEFORE), time(NOT_AFTER)),
    options.subject,
    options.publicKey.export({ type: "spki", format: "der" }),
    explicit(
      3,
      sequence(
        ...options.extensions.map(({ id, critical, value }) =>
          sequence(oid(id), ...(critical ? [yes()] : []), octets(value)),
        ),
      ),
    ),
  );
  const whole = sequence(body, algorithm, bits(sign("sha256", body, options.signer)));
  const lines = whole.toString("base64").replaceAll(/(.{64})/g, "$1\n");
  return `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`;
}
