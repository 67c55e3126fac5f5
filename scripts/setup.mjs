// Installs what a command needs: npm packages always; for the tests also the real peers, as Debian packages, where that can be done.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { canInstall, installDebian } from './debian.mjs'

/** Debian package → a program or file that shows it is there. */
const PEERS = {
  mosquitto: ['/usr/sbin/mosquitto'],
  'mosquitto-clients': ['/usr/bin/mosquitto_pub'],
  'libcoap3-bin': ['/usr/bin/coap-client-notls', '/usr/bin/coap-client'],
  'python3-zmq': ['/usr/lib/python3/dist-packages/zmq'],
  'python3-qpid-proton': ['/usr/lib/python3/dist-packages/proton'],
  'rabbitmq-server': ['/usr/sbin/rabbitmqctl'],
  chromium: ['/usr/bin/chromium'],
  openssl: ['/usr/bin/openssl'],
}

/** Runs `npm ci` unless the installed tree is the lock file's. */
export function installPackages() {
  const lock = statSync('package-lock.json').mtimeMs
  const stamp = 'node_modules/.package-lock.json'
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= lock) return
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

/** Installs missing peers as root on Debian; elsewhere says which tests will be skipped. */
export function installPeers() {
  const missing = Object.keys(PEERS).filter((name) => !PEERS[name].some((path) => existsSync(path)))
  if (missing.length === 0) return
  if (!canInstall()) {
    say(`not root on Debian: these peers are not installed, and tests against them are skipped: ${missing.join(', ')}`)
    return
  }
  say(`installing peers for the tests: ${missing.join(', ')}`)
  for (const name of installDebian(missing)) say(`could not install ${name}: tests against it are skipped`)
}

export function run(command, args, options = {}) {
  execFileSync(command, args, { stdio: 'inherit', ...options })
}

export function say(text) {
  process.stdout.write(`${text}\n`)
}

export function packageVersion() {
  return JSON.parse(readFileSync('package.json', 'utf8')).version
}
