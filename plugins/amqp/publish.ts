/** Sends what a sink was given, as one message or as one per record, over any connection that confirms messages. */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { PartialWriteError } from '../../gateway/errors.ts'
import type { Batch } from '../../gateway/plugin.ts'
import type { BrokerConfig } from './config.ts'
import type { Deadline } from './deadline.ts'
import { keyOfBatch, keyOfRecord } from './routing.ts'

const compress = promisify(gzip)

/** Resolves when the message is confirmed. `id` is the same whenever it is sent again. */
export type Publish = (key: string, body: Buffer, id: string) => Promise<void>

/** @throws PartialWriteError when leading records were taken; whatever `publish` threw when none was */
export async function publishBatch(
  config: BrokerConfig,
  template: string,
  batch: Batch,
  publish: Publish,
  deadline: Deadline,
): Promise<void> {
  const send = async (key: string, json: Buffer, id: string) =>
    publish(key, config.gzip ? await compress(json) : json, id)
  const { gateway, epoch } = batch
  if (config.shape === 'batch') {
    const sent = send(keyOfBatch(template, batch), batch.body(), `${gateway}/${epoch}/${batch.first}-${batch.last}`)
    await Promise.race([sent, deadline.over])
    return
  }
  const confirmed = new Uint8Array(batch.count)
  let next = 0
  let failed: unknown
  const fail = (error: unknown) => {
    failed ??= error
  }
  const lane = async () => {
    while (next < batch.count && failed === undefined) {
      const i = next++
      const record = batch.records[i] as Buffer
      await send(keyOfRecord(template, batch, record), record, `${gateway}/${epoch}/${numberOf(record)}`).then(() => {
        confirmed[i] = 1
      }, fail)
    }
  }
  const lanes = Promise.all(Array.from({ length: Math.min(config.inflight, batch.count) }, lane))
  await Promise.race([lanes, deadline.over]).catch(fail)
  const taken = confirmed.indexOf(0)
  if (taken < 0) return
  if (taken === 0) throw failed
  const text = `${new URL(config.url).host} took ${taken} of ${batch.count} records`
  throw new PartialWriteError('SLUICE_AMQP_PARTIAL', text, taken, { cause: failed })
}

/** The number in front of a record's JSON text: `{"seq":1042,…`. */
function numberOf(record: Buffer): number {
  return Number.parseInt(record.toString('latin1', 7, 27), 10)
}
