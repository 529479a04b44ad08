#!/bin/sh
# PID 1 of the lab's storage host, started by `unshare` in fresh network, mount and pid namespaces. Disks are files in
# memory, as an array's cache is; they last as long as this host, which has no power cuts.
#
# Environment: LAB_STORAGE_DIR (an empty folder), LAB_ASSETS, LAB_STORAGE_ADDRESS, LAB_STORAGE_BYTES (of a disk).
# Arguments: NAME:PORT of each disk. stdin: a line once the network is plugged.
set -eu

read -r _
exec </dev/null
mount -t tmpfs tmpfs "$LAB_STORAGE_DIR"
count=$#
while [ "$count" -gt 0 ]; do
  name=${1%:*} port=${1#*:}
  shift
  truncate -s "$LAB_STORAGE_BYTES" "$LAB_STORAGE_DIR/$name.raw"
  # Any number of clients, as shared storage has it: what keeps two hosts apart is not the storage.
  set -- "$@" --keep qemu-nbd --persistent --shared=0 --format=raw --cache=writeback \
    "--bind=$LAB_STORAGE_ADDRESS" "--port=$port" "--export-name=$name" "$LAB_STORAGE_DIR/$name.raw"
  count=$((count - 1))
done
exec perl "$LAB_ASSETS/keep.pl" "$@"
