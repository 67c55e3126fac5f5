/** What a receiver upstream makes of batches: each is checked against the format, and its records are kept. */
import assert from 'node:assert/strict'

export interface SentRecord {
  readonly seq: number
  readonly kind: string
  /** Only of gap records: the first number that was dropped. */
  readonly first?: number
  readonly [key: string]: unknown
}

export interface SentWindow extends SentRecord {
  readonly window: string
  readonly key: Readonly<Record<string, string>>
  readonly start: string
  readonly end: string
  readonly count: number
  readonly fields: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export interface SentReading extends SentRecord {
  readonly device: string
  readonly time: string
  readonly received: string
  readonly tags: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, unknown>>
  /** By window: the latest result of the reading's key, and of its type. */
  readonly analytics?: Readonly<Record<string, { readonly key?: SentWindow; readonly type?: SentWindow }>>
}

export interface SentBatch {
  readonly v: number
  readonly gateway: string
  readonly class: string
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly count: number
  readonly records: readonly SentRecord[]
}

export interface Inbox {
  readonly batches: readonly SentBatch[]
  /** @throws AssertionError when the batch is not what the format says */
  take(text: string): SentBatch
  /** Records of a class, in the order of their numbers. */
  records(recordClass: string): readonly SentRecord[]
  windows(window: string): readonly SentWindow[]
  readings(): readonly SentReading[]
  /** Resolves when the condition holds; it is looked at whenever a batch comes. @throws after `within` ms */
  until(what: string, condition: () => boolean, within?: number): Promise<void>
}

const CLASS_OF: Readonly<Record<string, string>> = {
  alert: 'event',
  command: 'event',
  gap: 'event',
  window: 'result',
  correction: 'result',
  model: 'result',
  reading: 'reading',
}

/** Everything that one gateway with one data directory sends to one upstream. */
export function createInbox(gateway: string): Inbox {
  const batches: SentBatch[] = []
  const logs = new Map<string, { readonly epoch: string; readonly records: SentRecord[] }>()
  const failures: unknown[] = []
  let looks: (() => void)[] = []
  const keep = (batch: SentBatch) => {
    assert.equal(batch.gateway, gateway)
    checkBatch(batch)
    const log = logs.get(batch.class) ?? { epoch: batch.epoch, records: [] }
    logs.set(batch.class, log)
    assert.equal(batch.epoch, log.epoch, 'the epoch changed')
    assert.equal(batch.first, (log.records.at(-1)?.seq ?? 0) + 1, `a hole or a repetition in class ${batch.class}`)
    log.records.push(...batch.records)
    batches.push(batch)
  }
  const inbox: Inbox = {
    batches,
    take(text) {
      const batch = JSON.parse(text) as SentBatch
      try {
        keep(batch)
      } catch (error) {
        failures.push(error)
      }
      for (const look of looks) look()
      return batch
    },
    records: (recordClass) => logs.get(recordClass)?.records ?? [],
    windows: (name) => (inbox.records('result') as readonly SentWindow[]).filter(({ window }) => window === name),
    readings: () => inbox.records('reading') as readonly SentReading[],
    until: (what, condition, within = 20_000) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void) => {
          clearTimeout(timer)
          looks = looks.filter((known) => known !== look)
          finish()
        }
        const look = () => {
          if (failures.length > 0) settle(() => reject(failures[0]))
          else if (condition()) settle(resolve)
        }
        const timer = setTimeout(
          () => settle(() => reject(new Error(`${what}: not within ${within} ms; ${summary(batches)}`))),
          within,
        )
        looks.push(look)
        look()
      }),
  }
  return inbox
}

function checkBatch(batch: SentBatch): void {
  const names = ['v', 'gateway', 'class', 'epoch', 'first', 'last', 'count', 'records']
  assert.deepEqual(Object.keys(batch), names)
  assert.equal(batch.v, 1)
  assert.ok(['event', 'result', 'reading'].includes(batch.class), batch.class)
  assert.ok(typeof batch.epoch === 'string' && batch.epoch.length > 0)
  assert.ok(batch.records.length > 0)
  assert.equal(batch.count, batch.records.length)
  let expected = batch.first
  for (const record of batch.records) {
    assert.equal(CLASS_OF[record.kind], batch.class, `a ${record.kind} in a batch of class ${batch.class}`)
    assert.equal(record.first ?? record.seq, expected)
    expected = record.seq + 1
  }
  assert.equal(batch.last, expected - 1)
}

function summary(batches: readonly SentBatch[]): string {
  const counts = batches.map((batch) => `${batch.class} ${batch.first}-${batch.last}`)
  return `${counts.length} batches came: ${counts.slice(-5).join(', ')}`
}
