#!/bin/bash
# Builds an image and tries it with a Docker engine.
#
# usage: images/verify.sh x86|armhf|arm64 [DOCKERFILE]          the executable is built before (npm run build:bin)
# needs: docker curl mosquitto-clients
# where no engine is given and nothing can be pulled, as root on Debian:
#   images/engine.sh sh -c 'images/stand-in.sh armhf && images/verify.sh armhf'
#
# What it shows: the file builds, the container starts without a config on a read-only root as a user other than root,
# its published ports answer to the commands of its log and to nobody else, the engine finds it healthy, SIGTERM ends it
# with exit 0 in under 2 s, a new container on its volume goes on, and the image is no larger than promised.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
case $kind in
  x86) file=Dockerfile.x86 platform=linux/amd64 machine=x86_64 limit=55000000 ;;
  armhf) file=Dockerfile.armhf platform=linux/arm/v7 machine=armv7l limit=45000000 ;;
  arm64) file=images/Dockerfile.arm64 platform=linux/arm64 machine=aarch64 limit=55000000 ;;
  *) echo 'usage: images/verify.sh x86|armhf|arm64 [DOCKERFILE]' >&2; exit 2 ;;
esac
file=${2:-$file}
image=sluice:$kind
name=sluice-verify-$kind-$$
emulated=
[ "$(uname -m)" = "$machine" ] || emulated=' (emulated)'

finish() {
  docker rm -f "$name" >/dev/null 2>&1 || true
  docker volume rm "$name" >/dev/null 2>&1 || true
}
trap finish EXIT
# Where published ports are.
near() { ${ENGINE_NETWORK:+ip netns exec "$ENGINE_NETWORK"} timeout 60 "$@"; }
ok() { echo "OK $kind$emulated: $*"; }
fail() {
  echo "FAILED $kind: $*" >&2
  docker logs "$name" >&2 || true
  exit 1
}

DOCKER_BUILDKIT=1 docker build --quiet --platform "$platform" -f "$file" -t "$image" . >/dev/null
mkdir -p dist
version=$(sed -n 's/.*"version": "\(.*\)".*/\1/p' package.json | head -1)
archive=dist/sluice-$version-$kind.docker.tar.gz
docker save "$image" | gzip -9n >"$archive"
size=$(stat -c %s "$archive")
[ "$size" -le "$limit" ] || fail "the image has $size bytes compressed, more than $limit"
ok "built; $archive has $size bytes (limit $limit)"

start() {
  docker run -d --name "$name" --platform "$platform" --read-only -p 127.0.0.1::1883 -p 127.0.0.1::8080 -v "$name:/data" "$image" >/dev/null
}
inspect() { docker inspect "$name" --format "$1"; }
port() { docker port "$name" "$1" | head -1 | sed 's/.*://'; }
within() {
  local seconds=$1
  shift
  for _ in $(seq "$seconds"); do
    "$@" && return 0
    sleep 1
  done
  return 1
}
ready() { docker logs "$name" 2>/dev/null | grep -q '"event":"ready"'; }
healthy() { [ "$(inspect '{{.State.Health.Status}}')" = healthy ]; }

start
within 120 ready || fail 'not ready in two minutes'
sleep 1
log=$(docker logs "$name" 2>&1)
token=$(sed -n 's/.*API token \([0-9a-f]*\);.*/\1/p' <<<"$log")
[ -n "$token" ] || fail 'the first log names no token'
[ "$(inspect '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}')" = '10001:10001 true' ] || fail 'another user, or a writable root'
ok 'starts without a config on a read-only root, as a user other than root, and says its credentials'

status() { near curl -s -o /dev/null -w '%{http_code}' -m 60 "$@" "http://127.0.0.1:$(port 8080)/api/status"; }
[ "$(status)" = 401 ] || fail 'the API answers without its token'
near mosquitto_pub -h 127.0.0.1 -p "$(port 1883)" -q 1 -t telemetry/pump-3 -m 1 2>/dev/null && fail 'MQTT lets anybody in'
# The commands of the log as a person pastes them; only the ports are other ones here.
pasted() {
  sed -n "s/.*\"msg\":\"$1: \([^\"]*\)\".*/\1/p" <<<"$log" |
    sed "s/-h localhost/-h 127.0.0.1 -p $(port 1883)/; s/localhost:8080/127.0.0.1:$(port 8080)/"
}
near sh -c "$(pasted publish)" || fail 'MQTT refuses the command of its own log'
near sh -c "$(pasted read)" 2>/dev/null | grep -q '"value":21.5' || fail 'the API does not show what was published'
ok 'published ports answer to the commands of its log, and to nobody else'

within 240 healthy || fail "its health is $(inspect '{{.State.Health.Status}}')"
ok 'the engine finds it healthy'

begun=$(date +%s%N)
docker stop -t 10 "$name" >/dev/null
took=$((($(date +%s%N) - begun) / 1000000))
[ "$(inspect '{{.State.ExitCode}}')" = 0 ] || fail "SIGTERM: exit $(inspect '{{.State.ExitCode}}')"
[ "$took" -lt 2000 ] || [ -n "$emulated" ] || fail "SIGTERM: took $took ms"
ok "SIGTERM: exit 0 after $took ms"

docker rm "$name" >/dev/null
start
within 120 ready || fail 'not ready on the old volume in two minutes'
[ "$(status -H "Authorization: Bearer $token")" = 200 ] || fail 'a new container on the volume has other credentials'
docker logs "$name" 2>&1 | grep -q 'first start' && fail 'the credentials were told again'
docker stop -t 10 "$name" >/dev/null
docker run --rm --platform "$platform" --network none -v "$name:/data" "$image" audit >/dev/null || fail 'audit fails'
ok 'a new container on the same volume goes on, and its audit balances'
