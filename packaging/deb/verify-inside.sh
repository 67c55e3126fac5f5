#!/bin/bash
# What verify.sh has done in a booted Debian: one line OK per thing that was shown.
set -u
config=/etc/sluice/sluice.yaml
api=http://127.0.0.1:8080/api

fail() {
  echo "FAILED: $*"
  systemctl status sluice --no-pager
  journalctl -u sluice --no-pager | tail -30
  exit 1
}
within_30_s() {
  for _ in $(seq 60); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.5
  done
  return 1
}
pid() { systemctl show -p MainPID --value sluice; }
another_runs() { [ "$(pid)" != "$1" ] && systemctl is-active --quiet sluice; }
publish() { curl -sf -m 5 -d '{"temperature":21.5}' -H 'content-type: application/json' "$api/telemetry/pump-3"; }
taken() { curl -s -m 5 "$api/audit" | grep -o '"source":"http","in":[0-9]*'; }

# A watchdog that does not take a minute.
mkdir -p /etc/systemd/system/sluice.service.d
printf '[Service]\nWatchdogSec=6\n' >/etc/systemd/system/sluice.service.d/try.conf

dpkg -i /try/sluice.deb || fail install
within_30_s systemctl is-active --quiet sluice || fail 'not active after the installation'
sluice health || fail health
publish || fail telemetry
echo "OK installed and started; systemd-analyze security: $(systemd-analyze security sluice --no-pager | tail -1 | sed 's/.*: //')"

cp /try/verify-hang.mjs /etc/sluice/hang.mjs
printf 'plugins: [./hang.mjs]\nsources: { hang: { hang: {} } }\n' >>$config
systemctl reload sluice || fail reload
within_30_s sh -c "journalctl -u sluice --no-pager | grep -q 'configuration reloaded'" || fail reload
systemctl restart sluice || fail restart
echo 'OK reloaded and restarted'

sleep 8
before=$(pid)
[ "$(systemctl show -p NRestarts --value sluice)" = 0 ] || fail 'the watchdog was not fed'
touch /etc/sluice/hang
within_30_s sh -c "journalctl -u sluice --no-pager | grep -q 'Watchdog timeout'" || fail 'the watchdog saw nothing'
rm /etc/sluice/hang
within_30_s another_runs "$before" || fail 'the watchdog did not restart it'
within_30_s sluice health || fail 'not healthy after the watchdog'
[ "$(taken)" = '"source":"http","in":1' ] || fail "after the watchdog: $(taken)"
echo 'OK its event loop hung: the watchdog restarted it, and nothing is lost'

sed -i '/^plugins:/d; /^sources:/d' $config
echo '# edited by a person' >>$config
publish || fail telemetry
dpkg --force-confdef --force-confold -i /try/next.deb || fail upgrade
grep -q 'edited by a person' $config || fail 'the upgrade lost the edited config'
within_30_s sluice health || fail 'not healthy after the upgrade'
[ "$(taken)" = '"source":"http","in":2' ] || fail "after the upgrade: $(taken)"
[ "$(stat -c '%a %G' $config)" = '640 sluice-config' ] || fail 'the config is readable by all'
echo 'OK upgraded: the edited config and the data stay'

echo 'tumbing: {}' >>$config
systemctl reload sluice 2>/dev/null && fail 'it reloads a wrong config'
sluice health --data /var/lib/sluice || fail 'a wrong config stopped a running gateway'
systemctl restart sluice 2>/dev/null && fail 'it starts with a wrong config'
sed -i '/tumbing/d' $config
systemctl stop sluice
sluice audit >/dev/null || fail 'the audit does not balance'
echo 'OK a wrong config is refused before the start; the audit balances'

dpkg -r sluice || fail remove
[ -d /var/lib/private/sluice ] || fail 'removing deleted the data'
dpkg -P sluice || fail purge
[ ! -e /var/lib/private/sluice ] && [ ! -e $config ] || fail 'purging left something'
getent group sluice-config >/dev/null && fail 'purging left the group'
echo 'OK removed and purged'
echo 'ALL OK'
