#!/bin/sh
# Builds Wakaama's example client (UDP, no DTLS) from its sources. Prints the path of the program.
# usage: wakaama.sh SOURCE BUILD
set -eu
source=$(realpath "$1")
build=$2
mkdir -p "$build/source"
cp -R "$source/." "$build/source/"
# Its build describes a DTLS variant too, which is not made here, but whose sources must seem to be there.
tinydtls="$build/source/transport/tinydtls/third_party/tinydtls"
mkdir -p "$tinydtls"
touch "$tinydtls/tinydtls.h" "$tinydtls/dtls_config.h"
mkdir -p "$build/client"
# Generating fails for that variant alone; whether the client can be made shows in the next line.
cmake -S "$build/source/examples/client/udp" -B "$build/client" -DWAKAAMA_UNIT_TESTS=OFF >&2 || true
make -C "$build/client" lwm2mclient >&2
echo "$build/client/lwm2mclient"
