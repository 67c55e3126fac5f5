#!/bin/bash
# Runs a command with a Docker engine of its own, where none is installed: Debian's docker.io and containerd, unpacked
# and not installed, in a network namespace, with all that they keep in a temporary folder. The command runs outside of
# the namespace; what wants to reach a published port says `ip netns exec "$ENGINE_NETWORK"`.
#
# usage: images/engine.sh COMMAND [ARGUMENT...]       as root on Debian
# needs: runc iproute2 iptables
set -euo pipefail
[ $# -gt 0 ] || { echo 'usage: images/engine.sh COMMAND [ARGUMENT...]' >&2; exit 2; }
cache=$(cd "$(dirname "$0")/.." && pwd)/.cache/images/engine
work=$(mktemp -d)
space=sluice-engine-$$
started=()

finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  ip netns delete "$space" 2>/dev/null || true
  for mount in $(awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r); do
    umount -l "$mount" || true
  done
  rm -rf "$work"
}
trap finish EXIT

if [ ! -x "$cache/usr/sbin/dockerd" ]; then
  mkdir -p "$cache" "$work/packages"
  (cd "$work/packages" && apt-get download -qq docker.io containerd tini 2>/dev/null)
  for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$cache"; done
fi
export PATH=$cache/usr/bin:$cache/usr/sbin:$PATH

ip netns add "$space"
ip -n "$space" link set lo up
containerd --root "$work/containerd" --state "$work/state" --address "$work/containerd.sock" >"$work/containerd.log" 2>&1 &
started+=($!)
# Nothing of it may be killed later than this shell: where it runs, a negative oom score may not be set.
nsenter --net="/run/netns/$space" dockerd --host "unix://$work/docker.sock" --containerd "$work/containerd.sock" \
  --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" --oom-score-adjust 0 \
  --storage-driver "${STORAGE_DRIVER:-vfs}" >"$work/dockerd.log" 2>&1 &
started+=($!)
export DOCKER_HOST=unix://$work/docker.sock
for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.2; done
docker version >/dev/null 2>&1 || { tail -20 "$work/dockerd.log" >&2; exit 1; }
export ENGINE_NETWORK=$space
"$@"
