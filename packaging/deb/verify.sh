#!/bin/bash
# Installs, starts, hangs, upgrades, removes and purges the amd64 package in a Debian that systemd-nspawn boots.
#
# usage: packaging/deb/verify.sh [FILE.deb]     as root on Debian, on amd64
# needs: systemd-container mmdebstrap
set -euo pipefail
cd "$(dirname "$0")/../.."
package=${1:-$(ls dist/sluice_*_amd64.deb)}
command -v systemd-nspawn >/dev/null && command -v mmdebstrap >/dev/null ||
  { echo 'needs systemd-container and mmdebstrap' >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
base=.cache/images/systemd-amd64.tar
if [ ! -s "$base" ]; then
  mkdir -p .cache/images
  mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,libstdc++6,init-system-helpers,curl \
    bookworm "$base.new" 'deb http://deb.debian.org/debian bookworm main'
  mv "$base.new" "$base"
fi
mkdir "$root"
tar -xf "$base" -C "$root"
mkdir "$root/try"
cp "$package" "$root/try/sluice.deb"

# The next version: another number, and another config in the package.
dpkg-deb -R "$package" "$work/next"
sed -i 's/^Version: .*/Version: 99.0.0/' "$work/next/DEBIAN/control"
echo '# of the next version' >>"$work/next/etc/sluice/sluice.yaml"
dpkg-deb --root-owner-group -Znone --build "$work/next" "$root/try/next.deb" >/dev/null

cat >"$root/try/steps" <<'STEPS'
#!/bin/bash
set -u
fail() { echo "FAILED: $*"; systemctl status sluice --no-pager; journalctl -u sluice --no-pager | tail -30; systemctl poweroff; exit 1; }
until_() { for _ in $(seq 60); do "$@" >/dev/null 2>&1 && return 0; sleep 0.5; done; return 1; }
pid() { systemctl show -p MainPID --value sluice; }
readings() { curl -s -m 5 http://127.0.0.1:8080/api/audit; }

mkdir -p /etc/systemd/system/sluice.service.d
printf '[Service]\nWatchdogSec=6\n' >/etc/systemd/system/sluice.service.d/try.conf
dpkg -i /try/sluice.deb || fail install
until_ systemctl is-active --quiet sluice || fail 'not active after the installation'
sluice health || fail health
curl -sf -m 5 -d '{"temperature":21.5}' -H 'content-type: application/json' http://127.0.0.1:8080/api/telemetry/pump-3 || fail telemetry
echo "OK installed and started; $(systemd-analyze security sluice --no-pager | tail -1 | sed 's/.*: //')"

systemctl reload sluice && sleep 1 && journalctl -u sluice --no-pager | grep -q 'configuration reloaded' || fail reload
echo 'OK reloaded'

sleep 8
before=$(pid)
[ "$(systemctl show -p NRestarts --value sluice)" = 0 ] || fail 'the watchdog was not fed'
kill -STOP "$before"
for _ in $(seq 60); do [ "$(pid)" != "$before" ] && systemctl is-active --quiet sluice && break; sleep 0.5; done
[ "$(pid)" != "$before" ] || fail 'the watchdog did not restart it'
until_ sluice health || fail 'not healthy after the watchdog'
echo 'OK hung: the watchdog restarted it'

echo '# edited by a person' >>/etc/sluice/sluice.yaml
dpkg --force-confdef --force-confold -i /try/next.deb || fail upgrade
grep -q 'edited by a person' /etc/sluice/sluice.yaml || fail 'the upgrade lost the edited config'
until_ sluice health || fail 'not healthy after the upgrade'
curl -s http://127.0.0.1:8080/api/status | grep -q '"gateway"' || fail 'no status after the upgrade'
[ "$(stat -c '%a %G' /etc/sluice/sluice.yaml)" = '640 sluice-config' ] || fail 'the config is readable by all'
echo 'OK upgraded: the edited config stays'

echo 'tumbing: {}' >>/etc/sluice/sluice.yaml
systemctl reload sluice 2>/dev/null && fail 'it reloads a wrong config'
sluice health --data /var/lib/sluice || fail 'a wrong config stopped a running gateway'
systemctl restart sluice 2>/dev/null && fail 'it starts with a wrong config'
sed -i '/tumbing/d' /etc/sluice/sluice.yaml
systemctl stop sluice
sluice audit >/dev/null || fail 'the audit does not balance'
echo 'OK a wrong config is refused before the start; the audit balances'

dpkg -r sluice || fail remove
[ -d /var/lib/private/sluice ] || fail 'removing deleted the data'
dpkg -P sluice || fail purge
[ ! -e /var/lib/private/sluice ] && [ ! -e /etc/sluice/sluice.yaml ] || fail 'purging left something'
getent group sluice-config >/dev/null && fail 'purging left the group'
echo 'OK removed and purged'
echo 'ALL OK'
systemctl poweroff
STEPS
chmod +x "$root/try/steps"
cat >"$root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
After=multi-user.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/try/steps >/try/log 2>&1'
[Install]
WantedBy=default.target
UNIT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -s ../try.service "$root/etc/systemd/system/default.target.wants/try.service"
timeout 300 systemd-nspawn --quiet --directory="$root" --private-network --register=no --keep-unit -b >"$work/boot.log" 2>&1 ||
  { tail -20 "$work/boot.log" >&2; }
grep -E '^(OK|FAILED|ALL)' "$root/try/log" || true
grep -q '^ALL OK' "$root/try/log" || { tail -60 "$root/try/log" >&2; exit 1; }
