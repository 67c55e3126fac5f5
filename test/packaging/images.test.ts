import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const DOCKERFILES = ['Dockerfile.x86', 'Dockerfile.armhf', 'images/Dockerfile.arm64', 'images/Dockerfile.multi']
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

test('the completions know every command of the program', () => {
  const program = read('gateway/cli/program.ts')
  const imports = [...program.matchAll(/import \{ (\w+)Command \}/g)].map(([, name = '']) => name).sort()
  assert.ok(imports.length > 10)
  const bash = /local commands='([^']*)'/.exec(read('packaging/deb/sluice.bash'))?.[1]?.split(' ').sort()
  const fish = /set -l commands (.*)/.exec(read('packaging/deb/sluice.fish'))?.[1]?.split(' ').sort()
  const manual = [...read('packaging/deb/sluice.1').matchAll(/^\.TP\n\.B (\w+)$/gm)].map(([, name = '']) => name).sort()
  assert.deepEqual([bash, fish, manual], [imports, imports, imports])
})
