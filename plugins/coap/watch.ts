/** Observing devices that are servers: notifications become telemetry, acknowledged to the device when durable. */

import { reasonOf } from '../../gateway/errors.ts'
import type { Clock, PluginLog, Timer } from '../../gateway/plugin.ts'
import type { Client, ClientObservation } from './client.ts'
import { GET } from './codes.ts'
import type { CoapError } from './errors.ts'
import { type Intake, topicOf } from './telemetry.ts'
import type { Peer } from './transport.ts'

/** Pauses between attempts, ms. */
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 60_000

export interface Watched {
  readonly device: string
  readonly path: string
  readonly stream: string | undefined
  /** ms without a notification after which the device is asked again. */
  readonly silence: number
}

export interface WatchOptions {
  readonly clock: Clock
  readonly client: Client
  readonly intake: Intake
  readonly log: PluginLog
  /** @throws NotConnectedError */
  peerOf(device: string, signal: AbortSignal): Promise<Peer>
}

/** Observes until the signal aborts, again and again. Never throws. */
export async function watch(what: Watched, options: WatchOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options
  let pause = FIRST_PAUSE
  while (!signal.aborted) {
    try {
      const peer = await options.peerOf(what.device, signal)
      const heard = await observeUntilSilent(peer, what, options, signal)
      if (heard) pause = FIRST_PAUSE
    } catch (error) {
      if (!signal.aborted) log.debug({ device: what.device, error: reasonOf(error) }, 'cannot observe the device')
    }
    await clock.sleep(pause, signal).catch(() => {})
    pause = Math.min(pause * 2, LONGEST_PAUSE)
  }
}

/** Resolves with whether anything was heard, when the device falls silent or the signal aborts. @throws CoapError */
function observeUntilSilent(
  peer: Peer,
  what: Watched,
  { clock, client, intake }: WatchOptions,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let heard = false
    let timer: Timer | undefined
    let observation: ClientObservation | undefined
    const end = (tell: boolean) => {
      timer?.cancel()
      signal.removeEventListener('abort', aborted)
      observation?.cancel(tell)
    }
    const aborted = () => {
      end(false)
      resolve(heard)
    }
    const listen = () => {
      timer?.cancel()
      timer = clock.after(what.silence, () => {
        end(true)
        resolve(heard)
      })
    }
    signal.addEventListener('abort', aborted, { once: true })
    listen()
    observation = client.observe(
      peer,
      { code: GET, path: what.path },
      {
        notification(response, receipt) {
          heard = true
          listen()
          intake.take(topicOf(what.device, what.stream), response.payload, response.contentFormat, (durable) => {
            if (durable) receipt.acknowledge()
            else receipt.forget()
          })
        },
        ended(error: CoapError) {
          end(false)
          reject(error)
        },
      },
    )
  })
}
