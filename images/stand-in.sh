#!/bin/bash
# Gives the Docker engine a stand-in for debian:bookworm-slim, made by mmdebstrap, where none can be pulled.
#
# usage: images/stand-in.sh amd64|armhf|arm64        as root on Debian
# needs: mmdebstrap; for ARM on another machine: qemu-user-static arch-test
set -euo pipefail
cd "$(dirname "$0")/.."
debian=$1
include='' emulator='' variant=''
case $debian in
  amd64) architecture=amd64 ;;
  armhf) architecture=arm variant='"variant": "v7",' emulator=qemu-arm include=--include=libatomic1 ;;
  arm64) architecture=arm64 emulator=qemu-aarch64 ;;
  *) echo 'usage: images/stand-in.sh amd64|armhf|arm64' >&2; exit 2 ;;
esac

binfmt=/proc/sys/fs/binfmt_misc
if [ -n "$emulator" ] && [ "$(dpkg --print-architecture)" = amd64 ] && [ ! -e "$binfmt/$emulator" ]; then
  [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt
  cat "/usr/lib/binfmt.d/$emulator.conf" >$binfmt/register
fi

base=.cache/images/base-$debian.tar
if [ ! -s "$base" ]; then
  mkdir -p .cache/images
  # Only the main archive: it does not change under a build.
  mmdebstrap --quiet --format=tar --variant=minbase --architectures="$debian" $include bookworm "$base.new" \
    'deb http://deb.debian.org/debian bookworm main'
  mv "$base.new" "$base"
fi

# The archive that `docker load` takes: `docker import` would record the machine's own architecture.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln "$base" "$work/layer.tar" 2>/dev/null || cp "$base" "$work/layer.tar"
cat >"$work/config.json" <<JSON
{ "architecture": "$architecture", $variant "os": "linux",
  "config": { "Cmd": ["bash"], "Labels": { "org.opencontainers.image.title": "stand-in base" } },
  "rootfs": { "type": "layers", "diff_ids": ["sha256:$(sha256sum "$base" | cut -d' ' -f1)"] } }
JSON
echo '[{ "Config": "config.json", "RepoTags": ["debian:bookworm-slim"], "Layers": ["layer.tar"] }]' >"$work/manifest.json"
tar -C "$work" -c manifest.json config.json layer.tar | docker load -q
