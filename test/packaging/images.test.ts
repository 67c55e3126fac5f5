import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const DOCKERFILES = ['Dockerfile.x86', 'Dockerfile.armhf', 'images/Dockerfile.arm64', 'images/Dockerfile.multi']
const NO_BASH = existsSync('/bin/bash') ? false : 'bash is not installed'
const read = (file: string) => readFileSync(file, 'utf8')

test('every Dockerfile takes the executable of the version that is built', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  for (const file of DOCKERFILES) {
    const given = [...read(file).matchAll(/^ARG VERSION=(.*)$/gm)].map(([, value]) => value)
    assert.ok(given.length > 0 && given.every((value) => value === version), file)
  }
})

test('every image runs as a user other than root, from scratch, with a volume, a health check and a signal to stop', () => {
  for (const file of DOCKERFILES) {
    const last =
      read(file)
        .split(/^FROM /m)
        .at(-1) ?? ''
    for (const line of ['scratch', 'USER 10001:10001', 'VOLUME /data', 'STOPSIGNAL SIGTERM', 'EXPOSE 1883 8080'])
      assert.ok(last.split('\n').includes(line), `${file}: ${line}`)
    assert.match(last, /^HEALTHCHECK .* CMD \["\/usr\/bin\/sluice", "health"\]$/m)
    assert.match(last, /^ENV SLUICE_CONTAINER=1 SLUICE__DATA=\/data$/m)
  }
})

test('bash completes commands, their subcommands and their options', { skip: NO_BASH }, () => {
  const complete = (...words: string[]) => {
    const script = `. packaging/deb/sluice.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice; echo "\${COMPREPLY[@]}"`
    return spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' }).stdout.trim()
  }
  assert.equal(complete('sluice', 'st'), 'status')
  assert.equal(complete('sluice', 'outbox', 're'), 'retry')
  assert.equal(complete('sluice', '--data', '/x', 'outbox', 'skip', '--'), '--config --data --class --through --help')
  assert.equal(complete('sluice', 'send', 'pump-3', 'open', '--dead'), '--deadline')
  assert.equal(complete('sluice', 'run', '--config', 'tsco'), 'tsconfig.json')
})
