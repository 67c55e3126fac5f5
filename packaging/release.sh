#!/bin/bash
# Makes all that a release consists of, tries each, and leaves it in dist/ with its checksums.
#
# usage: packaging/release.sh [FILE]       as root on Debian, x86-64; FILE is a Node for ARMv7 without known flaws
# needs: what images/verify.sh, images/engine.sh, images/stand-in.sh and packaging/deb/verify.sh name in their heads
set -euo pipefail
cd "$(dirname "$0")/.."
node packaging/install-tools.mjs
for arch in x64 arm64; do npm run build:bin -- --arch $arch; done
npm run build:bin -- --arch armhf ${1:+--node-binary "$1"}
npm test -- test/packaging
node packaging/deb/build.mjs
packaging/deb/verify.sh
for image in 'amd64 x86' 'armhf armhf' 'arm64 arm64'; do
  read -r debian kind <<<"$image"
  images/engine.sh sh -c "images/stand-in.sh $debian && images/verify.sh $kind"
done
cd dist
sha256sum sluice-*-linux-* sluice_*.deb sluice-*.docker.tar.gz >SHA256SUMS
cat SHA256SUMS
