#!/bin/sh
# Builds Anjay's demo client (with OpenSSL for DTLS) from its sources, avs_commons in deps/ included. Prints the path of the program.
# usage: anjay.sh SOURCE BUILD
set -eu
source=$(realpath "$1")
build=$2
mkdir -p "$build"
cmake -S "$source" -B "$build" -DDTLS_BACKEND=openssl -DWITH_LIBRARY_SHARED=OFF >&2
make -C "$build" demo >&2
echo "$build/output/bin/demo"
