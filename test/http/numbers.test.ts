import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLatency, observe, quantile } from '../../gateway/http/latency.ts'
import { exposition, type StageNumbers } from '../../gateway/http/metrics.ts'
import { globMatcher, matcher } from '../../gateway/http/pattern.ts'
import { createPulse } from '../../gateway/http/pulse.ts'
import { FakeClock } from '../support/clock.ts'
import { serve } from './serve.ts'

const build = { gateway: 'site-7', version: '0.1.0' }

test('metrics show every stage with in, out, bytes, errors by reason, queue, lag and latency', async () => {
  const latency = createLatency()
  observe(latency, 0.3)
  observe(latency, 40, 2)
  observe(latency, 99_999)
  const stage: StageNumbers = {
    stage: 'ingest',
    instance: 'mq"tt',
    in: 10,
    out: 8,
    bytes: 900,
    errors: { busy: 2 },
    queue: 4,
    lag: 1500,
    latency,
  }
  const families = [{ name: 'late_total', help: 'Late.', type: 'counter' as const, values: [{ value: 3 }] }]
  const text = await exposition({ stages: [stage], families }, build)
  const labels = 'stage="ingest",name="mq\\"tt"'
  for (const line of [
    `sluice_stage_in_total{${labels}} 10`,
    `sluice_stage_out_total{${labels}} 8`,
    `sluice_stage_bytes_total{${labels}} 900`,
    `sluice_stage_errors_total{${labels},reason="busy"} 2`,
    `sluice_stage_queue_depth{${labels}} 4`,
    `sluice_stage_lag_seconds{${labels}} 1.5`,
    `sluice_stage_latency_seconds_bucket{${labels},le="0.0005"} 1`,
    `sluice_stage_latency_seconds_bucket{${labels},le="0.05"} 3`,
    `sluice_stage_latency_seconds_bucket{${labels},le="+Inf"} 4`,
    `sluice_stage_latency_seconds_sum{${labels}} 100.0793`,
    `sluice_stage_latency_seconds_count{${labels}} 4`,
    'sluice_late_total 3',
    '# TYPE sluice_stage_latency_seconds histogram',
    '# TYPE sluice_stage_in_total counter',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
  for (const line of text.split('\n'))
    if (line && !line.startsWith('#')) assert.match(line, /^sluice_[a-z_]+(\{.*\})? [\d.e+-]+$/)
})

test('/metrics is served as Prometheus text', async () => {
  const served = await serve()
  const answer = await served.ask('GET', '/metrics')
  assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/)
  assert.match(answer.text, /^# HELP sluice_/)
  assert.match(answer.text, /sluice_late_readings_total\{window="w"\} 3/)
  await served.server.stop()
})

test('a quantile is the bound of its bucket', () => {
  const latency = createLatency()
  assert.equal(quantile(latency, 0.99), undefined)
  for (let i = 0; i < 99; i++) observe(latency, 1)
  observe(latency, 200)
  assert.equal(quantile(latency, 0.5), 1)
  assert.equal(quantile(latency, 0.99), 1)
  assert.equal(quantile(latency, 1), 250)
})

test('rates are per second over the last ten', async () => {
  const clock = new FakeClock()
  const stage = { stage: 'ingest', in: 0, out: 0, bytes: 0, errors: {} }
  const pulse = createPulse(clock, () => ({ stages: [stage] }))
  for (let i = 0; i < 30; i++) {
    await clock.advance(1000)
    stage.in += i < 15 ? 1000 : 50
    stage.out += 40
  }
  assert.deepEqual([pulse.stages()[0]?.inRate, pulse.stages()[0]?.outRate], [55, 44])
  pulse.stop()
})

test('health is progress: a stage with work that does not move is stuck, an idle one is not', async () => {
  const served = await serve({ patience: 5000 })
  const stage = { stage: 'window', in: 10, out: 0, bytes: 0, errors: {}, queue: 0, mustMove: true }
  const uplink = { stage: 'upstream', instance: 'cloud', in: 10, out: 0, bytes: 0, errors: {}, queue: 9 }
  served.api.stages = [stage, uplink]
  const health = async () => {
    const answer = await served.ask('GET', '/healthz')
    return [answer.status, answer.json.reason]
  }
  await served.clock.advance(60_000)
  assert.deepEqual(await health(), [200, undefined])
  stage.queue = 3
  await served.clock.advance(4000)
  assert.deepEqual(await health(), [200, undefined])
  await served.clock.advance(4000)
  assert.deepEqual(await health(), [503, 'window has 3 waiting and made no progress for 7 s'])
  stage.out = 1
  assert.deepEqual(await health(), [200, undefined])
  served.api.troubled = 'the disk is full'
  assert.deepEqual(await health(), [503, 'the disk is full'])
  served.api.readyNow = false
  assert.equal((await served.ask('GET', '/readyz')).status, 503)
  await served.server.stop()
})

test('a pattern is a glob over devices or an MQTT filter over topics', () => {
  const glob = globMatcher('dvc30*1')
  assert.ok(glob('dvc3001') && glob('dvc30111') && !glob('dvc3002') && !glob('xdvc3001'))
  assert.ok(globMatcher('a.c')('a.c') && !globMatcher('a.c')('abc') && globMatcher('?')('x') && globMatcher('')(''))
  assert.equal(globMatcher(`${'*a'.repeat(50)}b`)('a'.repeat(500)), false)
  assert.ok(matcher('#')('any', 'stream'))
  assert.ok(matcher('telemetry/+')('a', undefined) && !matcher('telemetry/+')('a', 'temp'))
  assert.ok(
    matcher('telemetry/a/#')('a', undefined) &&
      matcher('telemetry/a/#')('a', 'x') &&
      !matcher('telemetry/a/#')('b', 'x'),
  )
})
