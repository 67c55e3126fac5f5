import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { runCommand } from '../support/gateway-process.ts'

/** Resolves with what gives the port back; whoever has it already may keep it. */
function occupy(port: number): Promise<() => void> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(() => undefined))
    server.listen(port, '127.0.0.1', () => resolve(() => server.close()))
  })
}

test('the demo takes free ports, ends its start with the address of its page, and counts in plain lines', async (t) => {
  t.after(await occupy(8080))
  const { code, out, err } = await runCommand(['demo', '--for', '3500ms'])
  assert.deepEqual([code, err], [0, ''])
  const [start = '', told = ''] = out.split('\n\n')
  assert.match(start.split('\n').at(-1) ?? '', /^ {2}http:\/\/127\.0\.0\.1:(?!8080\b)\d+\/$/)
  assert.match(
    told,
    /^ +3 s {2}\d+ readings, \d+\/s \(.* kB\) from 33 devices · \d+ window results · [1-9]\d* records upstream/m,
  )
  assert.match(out, /stopped after .*\n$/)
  assert.ok(!out.includes('\x1b'), 'no control characters')
})

test('the demo prints JSON lines when asked', async () => {
  const { code, out } = await runCommand(['demo', '--for', '2500ms', '--json'])
  assert.equal(code, 0)
  const events = out
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: string }).event)
  assert.deepEqual([events[0], events.at(-1)], ['totals', 'done'])
})
