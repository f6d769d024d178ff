#!/usr/bin/env bash
# A Docker engine in a Debian root, until SIGTERM. tests/operations/run.sh starts it in namespaces of its own:
#
#   unshare --mount --pid --uts [--net] --fork --kill-child --propagation private tests/operations/box.sh ROOT FOLDER... -- OPTION...
#
# FOLDER is seen in the root by the same path, as Compose tells the engine what to mount by paths; OPTIONs are the engine's. It listens on
# ROOT/srv/docker.sock, its log is ROOT/srv/docker.log.
set -euo pipefail

root=$1
shift
hostname operations
ip link set lo up
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  shift
done
shift
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p .before
pivot_root . .before
cd /
umount -l /.before

dockerd --host unix:///srv/docker.sock --storage-driver overlay2 "$@" >/srv/docker.log 2>&1 &
engine=$!
trap 'kill "$engine"' TERM
wait "$engine" || wait "$engine"  # the first wait ends with the signal
