import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { knownFlaw as knownFlawAtRun } from '../../gateway/cli/embedded-node.ts'
import { makeExecutable } from '../../packaging/executable.mjs'
import { digestOf, knownFlaw, nodeBinary } from '../../packaging/node-binary.mjs'
import { TARGETS } from '../../packaging/targets.mjs'
import { executableFor, unavailable } from './executable.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-build-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const notBuilt = unavailable('x64')

function buildBin(...args: string[]) {
  return spawnSync(process.execPath, ['scripts/build-bin.mjs', ...args], { encoding: 'utf8' })
}

for (const arch of Object.keys(TARGETS) as (keyof typeof TARGETS)[]) {
  const name = `two builds for ${arch} of one bundle give the same bytes, code cache and all`
  test(name, { skip: unavailable(arch), timeout: 240_000 }, () => {
    const target = TARGETS[arch]
    const { file: node } = nodeBinary(target)
    const script = readFileSync('dist/sluice.cjs', 'utf8').replace(/^#!.*/, '')
    const digests = ['one', 'two'].map((build) => {
      const output = join(folder, `${arch}-${build}`)
      makeExecutable({ target, node, script, output })
      return digestOf(output)
    })
    assert.equal(digests[0], digests[1])
  })
}

test('a changed checksum stops the build', { skip: notBuilt }, () => {
  const changed = { ...TARGETS.x64, sha256: '0'.repeat(64) }
  assert.throws(() => nodeBinary(changed), /its sha256 is [0-9a-f]{64}, expected 0{64}/)
})

test('ARMv6 is refused with what it is and why', () => {
  for (const arch of ['armv6', 'armv6l', 'armel']) {
    const { status, stderr } = buildBin('--arch', arch)
    assert.equal(status, 1)
    assert.match(stderr, /^build:bin: ARMv6 \(Raspberry Pi 1 and Zero\) is not supported/)
  }
})

test('a Node binary of another architecture is refused', () => {
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'LICENSE'), '')
  writeFileSync(join(folder, 'bin/node'), readFileSync(process.execPath).subarray(0, 64))
  const target = process.arch === 'x64' ? TARGETS.arm64 : TARGETS.x64
  assert.throws(() => nodeBinary(target, join(folder, 'bin/node')), /is no Linux program for/)
})

test('the build and the executable warn of the same versions of Node', () => {
  const flawed = ['v20.11.0', 'v20.10.0', 'v18.19.0', 'v21.6.1']
  for (const version of flawed) {
    assert.match(knownFlaw(version) ?? '', /CVE-2024-22019/)
    assert.match(knownFlawAtRun(version) ?? '', /CVE-2024-22019/)
  }
  for (const version of ['v20.11.1', 'v20.20.2', 'v21.6.2', 'v22.0.0', 'v24.21.0']) {
    assert.equal(knownFlaw(version), undefined)
    assert.equal(knownFlawAtRun(version), undefined)
  }
})

test('the bill of materials names Node, every bundled package and the very file', { skip: notBuilt }, () => {
  const { file } = executableFor('x64')
  const bill = JSON.parse(readFileSync(`${file}.cdx.json`, 'utf8')) as {
    metadata: { component: { hashes: { content: string }[] } }
    components: { name: string; purl: string }[]
  }
  assert.equal(bill.metadata.component.hashes[0]?.content, digestOf(file))
  const names = bill.components.map(({ name }) => name)
  for (const name of ['node', 'ws', 'zod', 'fastify', 'mqtt', 'yaml']) assert.ok(names.includes(name), name)
  assert.ok(!names.includes('typescript'))
})
