// Installs what a command needs: npm packages always; for the tests also the real peers, as Debian packages, where that can be done.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'

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
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    say(`not root on Debian: these peers are not installed, and tests against them are skipped: ${missing.join(', ')}`)
    return
  }
  say(`installing peers for the tests: ${missing.join(', ')}`)
  forbidServices()
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env })
  const all = apt(missing, env)
  if (all.status === 0) return
  for (const name of missing)
    if (apt([name], env).status !== 0) say(`could not install ${name}: tests against it are skipped`)
}

function apt(names, env) {
  return spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  })
}

/** The tests start their peers themselves; in a container Debian's packages must not start them as services. */
function forbidServices() {
  const policy = '/usr/sbin/policy-rc.d'
  const inContainer = existsSync('/.dockerenv') || !existsSync('/run/systemd/system')
  if (inContainer && !existsSync(policy)) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
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
