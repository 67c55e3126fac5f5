#!/bin/bash
# Builds an image of Dockerfile.x86, Dockerfile.armhf or images/Dockerfile.arm64 and tries it, where no Docker engine is
# given and nothing can be pulled: buildah and podman (with runc) build and run it on a stand-in for debian:bookworm-slim
# made by mmdebstrap.
#
# usage: images/verify.sh x86|armhf|arm64      as root on Debian; the executable is built before (npm run build:bin)
# needs: buildah podman runc netavark iptables mmdebstrap curl mosquitto-clients; ARM: qemu-user-static arch-test
#
# What it shows: the file builds, the container starts without a config on a read-only root as a user other than root,
# its published ports answer to the credentials of its log and to nobody else, its health check passes, SIGTERM ends it
# with exit 0 in under 2 s, a volume keeps what it had, and the image is no larger than promised.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
case $kind in
  x86) file=Dockerfile.x86 debian=amd64 platform=linux/amd64 limit=55000000 include= patience=30 ;;
  armhf) file=Dockerfile.armhf debian=armhf platform=linux/arm/v7 limit=45000000 include=libatomic1 patience=180 ;;
  arm64) file=images/Dockerfile.arm64 debian=arm64 platform=linux/arm64 limit=55000000 include= patience=180 ;;
  *) echo 'usage: images/verify.sh x86|armhf|arm64' >&2; exit 2 ;;
esac
for program in buildah podman runc mmdebstrap curl mosquitto_pub; do
  command -v "$program" >/dev/null || { echo "$program is not installed: see the head of this script" >&2; exit 2; }
done

work=$(mktemp -d)
cache=.cache/images
name=sluice-verify-$kind-$$
mkdir -p "$cache"
export CONTAINERS_CONF=$work/containers.conf
cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
engine() { local program=$1; shift; "$program" --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }
# Health checks are asked for here; there is no systemd that would run their timers.
quiet() { grep -v 'systemd connection' >&2 || true; }
podman_() { engine podman "$@" 2> >(quiet); }
finish() {
  podman_ rm -f -t 0 "$name" >/dev/null 2>&1 || true
  podman_ volume rm "$name" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
ok() { echo "$kind: $*"; }
fail() { echo "$kind: $*" >&2; podman_ logs "$name" >&2 || true; exit 1; }

case $kind in armhf) emulator=qemu-arm ;; arm64) emulator=qemu-aarch64 ;; *) emulator= ;; esac
if [ -n "$emulator" ] && [ "$(uname -m)" = x86_64 ] && [ ! -e "/proc/sys/fs/binfmt_misc/$emulator" ]; then
  [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  cat "/usr/lib/binfmt.d/$emulator.conf" >/proc/sys/fs/binfmt_misc/register
fi

base=$cache/base-$debian.tar
if [ ! -s "$base" ]; then
  # Only the main archive: it does not change under a build.
  mmdebstrap --quiet --format=tar --variant=minbase --architectures="$debian" ${include:+--include=$include} bookworm "$base.new" \
    'deb http://deb.debian.org/debian bookworm main'
  mv "$base.new" "$base"
fi
case $kind in armhf) arch='--arch arm --variant v7' ;; *) arch="--arch $debian" ;; esac
# shellcheck disable=SC2086
podman_ import --quiet --os linux $arch --message 'stand-in base' "$base" docker.io/library/debian:bookworm-slim >/dev/null
ok "stand-in base of $(stat -c %s "$base") bytes"

engine buildah bud --quiet --isolation chroot --pull-never --format docker --platform "$platform" \
  -f "$file" -t "localhost/sluice:$kind" . >/dev/null
mkdir -p dist
version=$(sed -n 's/.*"version": "\(.*\)".*/\1/p' package.json | head -1)
archive=dist/sluice-$version-$kind.docker.tar.gz
podman_ save --quiet --format docker-archive "localhost/sluice:$kind" | gzip -9n >"$archive"
size=$(stat -c %s "$archive")
[ "$size" -le "$limit" ] || fail "the image has $size bytes compressed, more than $limit"
ok "built; $archive has $size bytes (limit $limit)"

start() {
  podman_ run -d --name "$name" --platform "$platform" --read-only -p 127.0.0.1::1883 -p 127.0.0.1::8080 -v "$name:/data" \
    "localhost/sluice:$kind" >/dev/null
}
port() { podman_ port "$name" "$1" | sed 's/.*://'; }
await_ready() {
  for _ in $(seq "$patience"); do
    podman_ logs "$name" 2>/dev/null | grep -q '"event":"ready"' && return
    sleep 1
  done
  fail "not ready in $patience s"
}
start
await_ready
sleep 1
log=$(podman_ logs "$name" 2>&1)
token=$(sed -n 's/.*API token \([0-9a-f]*\);.*/\1/p' <<<"$log" | head -1)
[ -n "$token" ] || fail 'the first log names no token'
ok 'starts without a config on a read-only root, and says its credentials once'

status() { curl -s -o /dev/null -w '%{http_code}' -m 60 "$@" "http://127.0.0.1:$(port 8080)/api/status"; }
[ "$(status)" = 401 ] || fail 'the API answers without its token'
[ "$(status -H "Authorization: Bearer $token")" = 200 ] || fail 'the API refuses its token'
timeout 60 mosquitto_pub -h 127.0.0.1 -p "$(port 1883)" -q 1 -t telemetry/pump-3 -m 1 2>/dev/null && fail 'MQTT lets anybody in'
# The commands of the log as a person pastes them; only the ports are other ones here.
pasted() { sed -n "s/.*\"msg\":\"$1: \([^\"]*\)\".*/\1/p" <<<"$log" | sed "s/-h localhost/-h localhost -p $(port 1883)/; s/localhost:8080/127.0.0.1:$(port 8080)/"; }
timeout 60 sh -c "$(pasted publish)" || fail 'MQTT refuses the command of its own log'
timeout 60 sh -c "$(pasted read)" 2>/dev/null | grep -q '"value":21.5' || fail 'the API does not show what was published'
ok 'published ports answer to the commands of its log, and to nobody else'

[ "$(podman_ inspect "$name" --format '{{.Config.User}}')" = 10001:10001 ] || fail 'it runs as another user'
podman_ healthcheck run "$name" >/dev/null || fail 'its health check fails'
ok 'healthy, as a user other than root'

begun=$(date +%s%N)
podman_ stop -t 10 "$name" >/dev/null
took=$((($(date +%s%N) - begun) / 1000000))
code=$(podman_ inspect "$name" --format '{{.State.ExitCode}}')
[ "$code" = 0 ] || fail "SIGTERM: exit $code"
[ "$took" -lt 2000 ] || [ -n "$emulator" ] || fail "SIGTERM: took $took ms"
ok "SIGTERM: exit 0 after $took ms"

podman_ rm "$name" >/dev/null
start
await_ready
[ "$(status -H "Authorization: Bearer $token")" = 200 ] || fail 'a new container on the volume has other credentials'
podman_ logs "$name" 2>&1 | grep -q 'first start' && fail 'the credentials were told again'
podman_ stop -t 10 "$name" >/dev/null
podman_ run --rm --platform "$platform" --network none -v "$name:/data" "localhost/sluice:$kind" audit >/dev/null || fail 'audit fails'
ok 'a new container on the same volume goes on, and its audit balances'
