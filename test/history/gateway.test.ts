import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'

const DAY = 86_400_000

interface Answered {
  readonly kind: string
  readonly resolution: string
  readonly stepMs: number
  readonly unit?: string
  readonly times: number[]
  readonly count: number[]
  readonly min: number[]
  readonly max: number[]
  readonly mean: number[]
  readonly text: string[]
}

describe('the history of a gateway', () => {
  let site: TestGateway
  before(async () => {
    site = await startTestGateway({
      decode: [
        { topic: 'telemetry/{device}', time: 'at' },
        { topic: 'telemetry/{device}/{stream}', time: 'at' },
      ],
      devices: { meter: { units: { t: '°C' } } },
      windows: {
        each: { tumbling: '1m', by: ['device'], delay: '0s' },
        all: { tumbling: '1m', by: ['kind'], delay: '0s' },
      },
    })
  })
  after(() => site.close())

  const url = (path: string) => `http://127.0.0.1:${site.port('http')}${path}`
  const send = async (device: string, body: unknown) => {
    const answer = await fetch(url(`/api/telemetry/${device}`), { method: 'POST', body: JSON.stringify(body) })
    assert.equal(answer.status, 204)
  }
  const ask = async (query: Record<string, string>): Promise<Answered> => {
    const answer = await fetch(url(`/api/history?${new URLSearchParams(query)}`))
    assert.equal(answer.status, 200)
    return (await answer.json()) as Answered
  }
  const refused = async (query: Record<string, string>) => {
    const answer = await fetch(url(`/api/history?${new URLSearchParams(query)}`))
    return [answer.status, ((await answer.json()) as { code: string }).code]
  }

  test('results of a window are asked for by its key; one by device is as good as the device', async () => {
    const start = Math.floor((Date.now() - 3_600_000) / 60_000) * 60_000
    for (const [ms, t] of [
      [0, 1],
      [1000, 3],
      [61_000, 9],
    ] as const)
      await send('w1', { at: new Date(start + ms).toISOString(), t, kind: 'oven' })
    await send('w1', { at: new Date(start + 130_000).toISOString(), t: 9, kind: 'oven' })
    const query = { field: 't', from: String(start), to: String(start + 60_000), points: '1' }
    const result = await ask({ window: 'all', key: '{"kind":"oven"}', ...query })
    assert.deepEqual([result.times, result.count, result.min, result.max, result.mean], [[start], [2], [1], [3], [2]])
    const own = await ask({ window: 'each', device: 'w1', ...query })
    assert.deepEqual([own.count, own.mean], [[2], [2]])
  })

  test('a backlog from yesterday lands in its own minutes, and stays over a restart', async () => {
    const minute = Math.floor((Date.now() - DAY) / 60_000) * 60_000
    const at = (ms: number) => new Date(minute + ms).toISOString()
    await send('meter', { t: 30 })
    await send('meter', [
      { at: at(1000), t: 20, on: true, state: 'idle' },
      { at: at(59_000), t: 22.5, on: false, state: 'busy' },
      { at: at(60_000), t: 7, on: true, state: 'idle' },
    ])
    const query = { device: 'meter', from: at(0), to: at(120_000), points: '2' }
    const minutes = { times: [minute, minute + 60_000], count: [2, 1] }
    for (const restarted of [false, true]) {
      if (restarted) await site.restart()
      const { kind, unit, times, count, min, max, mean } = await ask({ ...query, field: 't' })
      assert.deepEqual(
        { kind, unit, times, count, min, max, mean },
        {
          kind: 'number',
          unit: '°C',
          ...minutes,
          min: [20, 7],
          max: [22.5, 7],
          mean: [21.25, 7],
        },
      )
      const on = await ask({ ...query, field: 'on' })
      assert.deepEqual([on.kind, on.count, on.mean], ['boolean', [2, 1], [0.5, 1]])
      const state = await ask({ ...query, field: 'state' })
      assert.deepEqual([state.kind, state.count, state.text], ['text', [2, 1], ['idle', 'idle']])
    }
    const month = await ask({ device: 'meter', field: 't', from: '30d' })
    assert.deepEqual([month.resolution, month.count.reduce((sum, n) => sum + n)], ['1h', 4])
  })

  test('streams of a device are told apart when asked, and together when not', async () => {
    await send('room/in', { t: 20 })
    await send('room/out', { t: 5 })
    const both = await ask({ device: 'room', field: 't', from: '2d' })
    assert.deepEqual([both.min, both.max], [[5], [20]])
    assert.deepEqual((await ask({ device: 'room', stream: 'out', field: 't', from: '2d' })).max, [5])
  })

  test('a question that makes no sense is refused with what is wrong', async () => {
    assert.deepEqual(await refused({ field: 't' }), [400, 'SLUICE_BAD_REQUEST'])
    assert.deepEqual(await refused({ device: 'x', field: 't', from: 'yesterday' }), [400, 'SLUICE_BAD_REQUEST'])
    assert.deepEqual(await refused({ device: 'x', field: 't', from: '2026-02-02', to: '2026-02-01' }), [
      400,
      'SLUICE_BAD_REQUEST',
    ])
    assert.deepEqual(await refused({ window: 'all', field: 't' }), [400, 'SLUICE_BAD_REQUEST'])
    assert.deepEqual(await refused({ window: 'all', key: 'oven', field: 't' }), [400, 'SLUICE_BAD_REQUEST'])
    assert.deepEqual(await refused({ window: 'none', field: 't' }), [404, 'SLUICE_UNKNOWN_WINDOW'])
    assert.deepEqual((await ask({ device: 'nobody', field: 't' })).times, [])
  })

  test('without room none is kept, and that is said', async () => {
    await site.restart({ history: { maxBytes: 0 } })
    assert.deepEqual(await refused({ device: 'meter', field: 't' }), [404, 'SLUICE_NO_HISTORY'])
  })
})
