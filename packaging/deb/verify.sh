#!/bin/bash
# Installs, starts, hangs, upgrades, removes and purges the amd64 package in a Debian that systemd-nspawn boots.
#
# usage: packaging/deb/verify.sh [FILE.deb]     as root on Debian, on amd64
# needs: systemd-container mmdebstrap lintian
#
# verify-inside.sh is what the booted Debian runs. The upgrade is to the same program under another number, with
# another config in its package: what is shown is that the data and the edited config stay.
set -euo pipefail
cd "$(dirname "$0")/../.."
package=${1:-$(ls dist/sluice_*_amd64.deb)}
for program in systemd-nspawn mmdebstrap lintian; do
  command -v "$program" >/dev/null || { echo "$program is not installed: see the head of this script" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

for file in dist/sluice_*.deb; do
  lintian --allow-root --fail-on error,warning "$file"
  echo "OK lintian has nothing to say about $(basename "$file")"
done

base=.cache/images/systemd-amd64.tar
if [ ! -s "$base" ]; then
  mkdir -p .cache/images
  mmdebstrap --quiet --format=tar --variant=minbase \
    --include=systemd,systemd-sysv,dbus,libstdc++6,init-system-helpers,curl \
    bookworm "$base.new" 'deb http://deb.debian.org/debian bookworm main'
  mv "$base.new" "$base"
fi
mkdir "$root"
tar -xf "$base" -C "$root"
mkdir "$root/try"
cp "$package" "$root/try/sluice.deb"
cp packaging/deb/verify-inside.sh packaging/deb/verify-hang.mjs "$root/try/"

dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/Version: 99.0.0/' "$work/next/DEBIAN/control"
echo '# of the next version' >>"$work/next/etc/sluice/sluice.yaml"
dpkg-deb --root-owner-group -Znone --build "$work/next" "$root/try/next.deb" >/dev/null

cat >"$root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=multi-user.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/bin/bash /try/verify-inside.sh >/try/log 2>&1; systemctl poweroff'
[Install]
WantedBy=default.target
UNIT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -s ../try.service "$root/etc/systemd/system/default.target.wants/try.service"
timeout 300 systemd-nspawn --quiet --directory="$root" --private-network --register=no --keep-unit -b >"$work/boot.log" 2>&1 ||
  tail -20 "$work/boot.log" >&2
grep -E '^(OK|FAILED|ALL)' "$root/try/log" || true
grep -q '^ALL OK' "$root/try/log" || { tail -60 "$root/try/log" >&2; exit 1; }
