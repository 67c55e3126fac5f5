#!/bin/sh
# Makes the root file system of an image: the few libraries the executable needs, a user, and its data directory.
# Runs in a Debian stage of the Dockerfiles, with what that Debian has; only what is missing is fetched.
#
# usage: root.sh ARCHITECTURE FOLDER        architecture as Debian names it: amd64, arm64, armhf
set -eu
wanted=$1
root=$2

arch=$(dpkg --print-architecture)
if [ "$arch" != "$wanted" ]; then
  case $wanted in armhf) platform=linux/arm/v7 ;; *) platform=linux/$wanted ;; esac
  echo "this Debian is $arch, the executable is $wanted: build with --platform $platform" >&2
  exit 1
fi

# Node for armv7 needs libatomic too.
packages='libc6 libgcc-s1 libstdc++6'
[ "$arch" = armhf ] && packages="$packages libatomic1"
for package in $packages; do
  dpkg -s "$package" >/dev/null 2>&1 && continue
  apt-get update -q
  apt-get install -y -q --no-install-recommends "$package"
done

mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/etc" "$root/data" "$root/tmp"
for link in lib lib64; do [ -L "/$link" ] && cp -a "/$link" "$root/$link"; done
[ -d /usr/lib64 ] && mkdir -p "$root/usr/lib64"
# Shared libraries as they lie, without the character sets that only other programs use.
for package in $packages; do dpkg -L "$package"; done |
  grep -E '/(ld-linux|lib(c|m|dl|pthread|rt|resolv|nss_dns|nss_files|util|atomic|gcc_s|stdc\+\+))[^/]*\.so' |
  grep -v gconv | grep -v /usr/share/ |
  while read -r file; do
    # The package may name it below /lib, which is a link to /usr/lib.
    place=$(readlink -f "$(dirname "$file")")
    mkdir -p "$root$place"
    cp -a "$place/$(basename "$file")" "$root$place/"
  done
for package in $packages; do
  mkdir -p "$root/usr/share/doc/$package"
  cp "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/" 2>/dev/null || true
done

echo 'sluice:x:10001:10001:Sluice:/data:/sbin/nologin' >"$root/etc/passwd"
echo 'sluice:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chown 10001:10001 "$root/data"
chmod 750 "$root/data"
chmod 1777 "$root/tmp"
