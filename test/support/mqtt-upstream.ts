/** A real mosquitto as upstream, with a subscriber that takes batches. */
import { createMosquitto, type Mosquitto, type Subscriber, subscribe } from '../plugins/mosquitto.ts'
import { createInbox, type Inbox } from './batches.ts'

export interface MqttUpstream {
  readonly mosquitto: Mosquitto
  readonly url: string
  readonly inbox: Inbox
  dispose(): Promise<void>
}

/** @param lines further lines of mosquitto's configuration */
export async function startMqttUpstream(gateway: string, lines?: readonly string[]): Promise<MqttUpstream> {
  const mosquitto = await createMosquitto(lines)
  await mosquitto.start()
  const inbox = createInbox(gateway)
  const subscriber: Subscriber = await subscribe(
    mosquitto.port,
    ['-t', `sluice/${gateway}/batch`],
    (line) => void inbox.take(line),
  )
  return {
    mosquitto,
    url: `mqtt://127.0.0.1:${mosquitto.port}`,
    inbox,
    async dispose() {
      await subscriber.end()
      await mosquitto.dispose()
    },
  }
}
