// Debian packages that a command needs: installed as root on Debian, named elsewhere.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'

/** Whether `installDebian` can do anything here. */
export function canInstall() {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
}

/** Installs what can be installed; returns the names of those that cannot. */
export function installDebian(names) {
  forbidServices()
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  apt(['update'], env)
  if (install(names, env)) return []
  return names.filter((name) => !install([name], env))
}

function install(names, env) {
  return apt(['install', '-y', '--no-install-recommends', ...names], env)
}

function apt(args, env) {
  return spawnSync('apt-get', ['-qq', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0
}

/** The tests start their peers themselves; in a container Debian's packages must not start them as services. */
function forbidServices() {
  const policy = '/usr/sbin/policy-rc.d'
  const inContainer = existsSync('/.dockerenv') || !existsSync('/run/systemd/system')
  if (inContainer && !existsSync(policy)) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
}
