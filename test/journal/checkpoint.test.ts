import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StartError } from '../../gateway/errors.ts'
import {
  type CheckpointStore,
  decodeCheckpoint,
  encodeCheckpoint,
  openCheckpoints,
} from '../../gateway/journal/checkpoint.ts'
import { crc32 } from '../../gateway/log/crc32.ts'
import { realFiles } from '../../gateway/log/files.ts'

async function withStore(
  run: (store: CheckpointStore, directory: string, damaged: string[]) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-checkpoint-'))
  const damaged: string[] = []
  try {
    await run(await reopen(directory, damaged), directory, damaged)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function reopen(directory: string, damaged: string[] = []): Promise<CheckpointStore> {
  return openCheckpoints({ files: realFiles, directory, onDamage: (file) => damaged.push(file) })
}

async function save(store: CheckpointStore, entry: number): Promise<void> {
  const bytes = await encodeCheckpoint({
    entry,
    facts: { entry },
    windows: [Buffer.from('windows '), Buffer.from(`${entry}`)],
  })
  await store.save(bytes, entry)
}

test('gives back what was saved, and keeps two', async () => {
  await withStore(async (store, directory) => {
    for (const entry of [10, 20, 30]) await save(store, entry)
    const found = await (await reopen(directory)).load()
    assert.equal(found?.entry, 30)
    assert.deepEqual(found.facts, { entry: 30 })
    assert.equal(Buffer.from(found.windows).toString(), 'windows 30')
    assert.equal(readdirSync(directory).length, 2)
    assert.equal(store.oldest, 20)
  })
})

test('falls back to the older one when any bit of the newer is flipped', async () => {
  await withStore(async (store, directory) => {
    await save(store, 10)
    await save(store, 20)
    const path = join(directory, 'checkpoint-0000000000000020.ckpt')
    const good = readFileSync(path)
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good)
      bad[at] = (bad[at] as number) ^ 0x10
      writeFileSync(path, bad)
      const damaged: string[] = []
      const found = await (await reopen(directory, damaged)).load()
      assert.deepEqual([found?.entry, damaged], [10, [path]], `byte ${at}`)
      rmSync(`${path}.corrupt`, { force: true })
    }
  })
})

test('takes the state in pieces of any size, each valid until the next one is asked for', async () => {
  const sizes = [0, 1, 600_000, 3, 1_100_000, 524_288, 7]
  const piece = Buffer.alloc(Math.max(...sizes))
  function* windows(): Generator<Uint8Array> {
    for (const [i, size] of sizes.entries()) yield piece.subarray(0, size).fill(i)
  }
  const { windows: read } = await decodeCheckpoint(
    await encodeCheckpoint({ entry: 1, facts: {}, windows: windows() }),
    '',
  )
  assert.ok(Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i))).equals(read))
})

test('a checkpoint of version 1 is read, one of a newer version is refused by name', async () => {
  const bytes = await encodeCheckpoint({ entry: 10, facts: {}, windows: [Buffer.from('w')] })
  const seal = (version: number, seed: (head: Buffer) => number) => {
    const other = Buffer.from(bytes)
    other[8] = version
    other.writeUInt32BE(crc32(other.subarray(16), seed(other.subarray(0, 12))), 12)
    return other
  }
  const old = seal(1, () => 0)
  assert.equal((await decodeCheckpoint(old, 'old')).entry, 10)
  const newer = seal(3, (head) => crc32(head, 0))
  await assert.rejects(decodeCheckpoint(newer, 'newer'), (error: StartError) => error.code === 'SLUICE_NEWER_DATA')
})

test('starts without a checkpoint when none can be read', async () => {
  await withStore(async (store, directory, damaged) => {
    assert.equal(await store.load(), null)
    writeFileSync(join(directory, 'checkpoint-0000000000000001.ckpt'), 'nonsense')
    assert.equal(await (await reopen(directory, damaged)).load(), null)
    assert.equal(damaged.length, 1)
  })
})
