#!/bin/sh
# Builds Mbed TLS 3 from its sources (a release, which has its generated files) and the client beside this script with it. Prints the path of the program.
# usage: mbedtls.sh SOURCE BUILD
set -eu
source=$(realpath "$1")
build=$2
here=$(dirname "$(realpath "$0")")
mkdir -p "$build"
for part in 3rdparty include library scripts; do cp -Rp "$source/$part" "$build/"; done
make -C "$build/library" GEN_FILES= libmbedtls.a libmbedx509.a libmbedcrypto.a >&2
cc -O1 -o "$build/client" -I "$build/include" "$here/mbedtls.c" -L "$build/library" -lmbedtls -lmbedx509 -lmbedcrypto >&2
echo "$build/client"
