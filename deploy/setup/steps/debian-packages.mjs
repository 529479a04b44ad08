// Every Debian package that Quorate, its lab or its tests call, with the reason. The one list: set-up installs what
// is missing of it, the manual quotes it.

/** @type {readonly { name: string, why: string }[]} */
export const debianPackages = [
  { name: "corosync", why: "`corosync -t` judges the configuration files that we write (never started)" },
  { name: "iproute2", why: "addresses, bridges and namespaces (ip), sockets of a dead route (ss)" },
  {
    name: "iputils-arping",
    why: "finds the machine that has taken the cluster address, as a remedy of ours says",
  },
  { name: "iputils-ping", why: "probes the cluster address in the lab" },
  { name: "libatomic1", why: "Node 24 and later link against it" },
  { name: "libfaketime", why: "steps the wall clock of a lab host's processes (npm run chaos)" },
  { name: "nats-server", why: "the local message bus of every node (Quorate starts its own)" },
  { name: "nftables", why: "the gates: kernel filters that close by themselves" },
  { name: "perl", why: "raw sockets: announces the cluster address, probes it in the lab" },
  { name: "tcpdump", why: "the lab's outside observer: who answered, by kernel timestamps" },
  { name: "util-linux", why: "unshare, nsenter, setpriv, flock: the lab's hosts and this set-up" },
];
