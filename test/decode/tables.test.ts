import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partsOf, type TableRow, Tables } from '../../gateway/decode/tables.ts'
import { createTableJournal } from '../../gateway/ingest/table-journal.ts'
import type { Control } from '../../gateway/journal/entry.ts'

const rowsOf = (count: number, room: string): TableRow[] =>
  Array.from({ length: count }, (_, i) => [`d${i}`, { room: `${room} ${i}` }])

test('a table in several parts counts from the last one on, also when a checkpoint comes between them', () => {
  let tables = new Tables()
  for (const part of partsOf('rooms', 'old', rowsOf(2, 'kitchen'))) tables.take(part)
  for (const part of partsOf('rooms', 'new', rowsOf(1000, 'hall'))) {
    assert.equal(tables.get('rooms').get('d1')?.room, 'kitchen 1')
    const state = JSON.parse(JSON.stringify(tables.state()))
    tables = new Tables()
    tables.restore(state)
    tables.take(part)
  }
  assert.equal(tables.get('rooms').get('d999')?.room, 'hall 999')
  assert.equal(tables.digest('rooms'), 'new')
})

test('journals a table once, from the start when it changes on its way, and forgets one that left the config', () => {
  const tables = new Tables()
  const journaled: string[] = []
  let room = 12
  const control = (entry: Control) => {
    if (entry.type !== 'table' || room-- <= 0) return false
    journaled.push(`${entry.table.digest} ${entry.table.part + 1}/${entry.table.parts}`)
    tables.take(entry.table)
    return true
  }
  const file = (digest: string, rows: TableRow[]) => ({ name: 'rooms', digest, rows }) as never
  const files: Record<string, never> = { rooms: file('a', rowsOf(10_000, 'kitchen')) }
  const journal = createTableJournal(files, { tables }, { control })
  assert.equal(journal.go(), false)
  assert.deepEqual([journaled.length, journaled.at(-1)], [12, 'a 12/40'])
  files.rooms = file('b', rowsOf(2, 'hall'))
  room = 100
  assert.equal(journal.go(), true)
  assert.deepEqual(journaled.slice(12), ['b 1/1'])
  assert.equal(tables.get('rooms').get('d1')?.room, 'hall 1')
  delete files.rooms
  assert.equal(journal.go(), true)
  assert.equal(journal.go(), true)
  assert.deepEqual(journaled.slice(13), [' 1/1'])
  assert.equal(tables.get('rooms').get('d1'), undefined)
})
