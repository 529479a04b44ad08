#!/bin/sh
# PID 1 of a lab host, started by `unshare` in fresh network, mount, uts, pid and time namespaces.
# It makes the folders that must be this host's own, then runs the node's command for ever, and reaps what
# the node leaves behind (the shell collects every child it did not start while it waits for its own).
# Promises nothing about the command: it is started again 100 ms after it ended, whatever its exit code.
#
# Environment: LAB_HOST_DIR (etc/, state/, boot_id), LAB_HOST_NAME, LAB_ROOT (the checkout).
# stdin: one line "mount" once the network is plugged, one line "run" once the host is prepared.
# fd 3: we write "ready" between the two.
set -eu

read -r _
echo "$LAB_HOST_NAME" > /proc/sys/kernel/hostname

# The new network namespace shows its devices only in a sysfs of its own.
mount -t sysfs sysfs /sys
mount --bind "$LAB_HOST_DIR/boot_id" /proc/sys/kernel/random/boot_id

# /etc/quorate and /var/lib/quorate need not exist on the machine: an overlay gives the mount points,
# what lies in them is bound from the host's folder and so survives a power cut.
scratch="$LAB_HOST_DIR/scratch"
mkdir -p "$scratch"
mount -t tmpfs -o size=64m,mode=0755 tmpfs "$scratch"
mkdir "$scratch/etc" "$scratch/etc-work" "$scratch/lib" "$scratch/lib-work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$scratch/etc,workdir=$scratch/etc-work" /etc
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$scratch/lib,workdir=$scratch/lib-work" /var/lib
mkdir -p /etc/quorate /var/lib/quorate
mount --bind "$LAB_HOST_DIR/etc" /etc/quorate
mount --bind "$LAB_HOST_DIR/state" /var/lib/quorate

# /tmp and /run begin empty at every boot. A checkout that lies under one of them must stay visible.
for volatile in tmp run; do
  mkdir "$scratch/$volatile"
  mount -t tmpfs -o size=64m tmpfs "$scratch/$volatile"
  case "$LAB_ROOT" in
    "/$volatile"/*)
      mkdir -p "$scratch/$volatile/${LAB_ROOT#"/$volatile/"}"
      mount --rbind "$LAB_ROOT" "$scratch/$volatile/${LAB_ROOT#"/$volatile/"}"
      ;;
  esac
done
chmod 1777 "$scratch/tmp"
cd /
mount --rbind "$scratch/tmp" /tmp
mount --rbind "$scratch/run" /run

echo ready >&3
exec 3>&-
read -r _
exec </dev/null

while :; do
  "$@" || true
  sleep 0.1
done
