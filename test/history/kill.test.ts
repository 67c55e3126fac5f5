import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSite, runCommand } from '../support/gateway-process.ts'

test('what was acknowledged is in the history once, after kill -9 and after a stop, and its files are intact', async () => {
  const site = createSite({ mqtt: { listen: '127.0.0.1:0' }, http: { listen: '127.0.0.1:0' } })
  let sent = 0
  let sum = 0
  for (const signal of ['SIGKILL', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
    const gateway = await site.start()
    const url = (path: string) => `http://127.0.0.1:${gateway.ports.http}${path}`
    for (let i = 0; i < 20; i++) {
      const { status } = await fetch(url('/api/telemetry/meter'), {
        method: 'POST',
        body: JSON.stringify({ t: ++sent }),
      })
      assert.equal(status, 204)
      sum += sent
    }
    // Hours, so that the journal itself is not asked.
    const answer = await fetch(url('/api/history?device=meter&field=t&from=30d'))
    const { count, min, max, mean } = (await answer.json()) as Record<'count' | 'min' | 'max' | 'mean', number[]>
    assert.equal(
      count.reduce((all, one) => all + one),
      sent,
    )
    assert.equal(
      count.reduce((all, one, i) => all + one * (mean[i] ?? 0), 0),
      sum,
    )
    assert.deepEqual([Math.min(...min), Math.max(...max)], [1, sent])
    await gateway.kill(signal)
  }
  const { code, out } = await runCommand(['audit', ...site.args])
  assert.equal(code, 0, out)
  site.remove()
})
