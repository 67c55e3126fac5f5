#!/bin/bash
# Brings docker-compose.yml up and shows that a reading, published as the first log says, arrives upstream in a result.
#
# usage: images/verify-compose.sh                  the x64 executable is built before (npm run build:bin)
# needs: docker, docker compose (or docker-compose), mosquitto-clients
# where no engine is given and nothing can be pulled, as root on Debian (needs mmdebstrap docker-compose):
#   images/engine.sh sh -c 'images/stand-in.sh amd64 && STAND_IN=1 images/verify-compose.sh'
set -euo pipefail
cd "$(dirname "$0")/.."
export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
compose() {
  if docker compose version >/dev/null 2>&1; then docker compose -f images/docker-compose.yml "$@"
  else docker-compose -f images/docker-compose.yml "$@"; fi
}
heard=$(mktemp)
trap 'compose down -v >/dev/null 2>&1 || true; rm -f "$heard"' EXIT
# Where published ports are.
near() { ${ENGINE_NETWORK:+ip netns exec "$ENGINE_NETWORK"} timeout 60 "$@"; }
ok() { echo "OK compose: $*"; }
fail() {
  echo "FAILED compose: $*" >&2
  compose logs >&2
  exit 1
}

if [ "${STAND_IN:-}" = 1 ]; then
  broker=.cache/images/mosquitto-amd64.tar
  [ -s $broker ] || mmdebstrap --quiet --format=tar --variant=minbase --include=mosquitto,mosquitto-clients \
    --customize-hook='printf "listener 1883\nallow_anonymous true\n" >"$1/mosquitto-no-auth.conf"' bookworm $broker \
    'deb http://deb.debian.org/debian bookworm main'
  docker import - eclipse-mosquitto:2 <$broker >/dev/null
fi

compose config --quiet || fail 'the file is not valid'
compose up -d >/dev/null 2>&1 || fail 'it does not come up'
for _ in $(seq 60); do compose logs sluice 2>/dev/null | grep -q 'publish: ' && break; sleep 1; done
publish=$(compose logs sluice 2>/dev/null | sed -n 's/.*"msg":"publish: \([^"]*\)".*/\1/p')
[ -n "$publish" ] || fail 'the first log says no command'
ok 'valid, and up'

compose exec -T upstream mosquitto_sub -t 'sluice/site-7/batch' -C 1 -W 60 >"$heard" &
listening=$!
sleep 1
near sh -c "$publish" || fail 'the command of the log does not work'
wait $listening || fail 'nothing came upstream'
grep -q '"device":"pump-3"' "$heard" || fail 'another batch came upstream'
ok 'published as the log says; its result arrives upstream'

compose stop -t 10 sluice >/dev/null 2>&1
[ "$(docker inspect "$(compose ps -aq sluice 2>/dev/null || compose ps -q sluice)" --format '{{.State.ExitCode}}')" = 0 ] || fail 'it does not end with exit 0'
ok 'stops with exit 0'
