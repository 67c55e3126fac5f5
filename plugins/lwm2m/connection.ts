/** What people are shown of a registered client. */
import type { DeviceConnection } from '../../gateway/plugin.ts'
import { formatPath } from './path.ts'
import type { Registration } from './registration.ts'

/** Longer lists of objects are cut, characters. */
const MOST = 200

/** @param listens it would hear a request now */
export function connectionOf(registration: Registration, listens: boolean): DeviceConnection {
  const { version, lifetime, binding, queue, identity, objects, contact } = registration
  const list = objects.map(formatPath).join(' ')
  return {
    state: listens ? 'online' : queue ? 'asleep' : 'offline',
    details: {
      protocol: `LwM2M ${version}`,
      binding,
      queue,
      lifetime,
      contact: new Date(contact).toISOString(),
      security: identity === undefined ? 'none' : 'psk',
      objects: list.length > MOST ? `${list.slice(0, MOST)} …` : list,
    },
  }
}

/** What a command to it waits for, as the end of "waits for …". */
export function waitingFor({ queue }: Registration): string {
  return queue ? 'the device to wake (queue mode)' : 'the device to speak again'
}
