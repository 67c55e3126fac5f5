import { StartError } from '../errors.ts'
import { isLoopback, parseAddress } from './address.ts'
import type { BrokerOptions } from './options.ts'

/** @throws StartError when others than this machine could come in without credentials and nobody said they may */
export function refuseOpenDoor(options: BrokerOptions): void {
  if (options.anonymous !== undefined || options.passwordFile !== undefined) return
  const certificates = options.tls?.clientCertificates === 'required'
  const plain = [...options.listen, ...(options.listenWebSocket ?? [])]
  const secure = certificates ? [] : [...(options.listenTls ?? []), ...(options.listenWebSocketTls ?? [])]
  const open = [...plain, ...secure].find((text) => !isLoopback(parseAddress(text).host))
  if (open !== undefined)
    throw new StartError(
      'SLUICE_MQTT_OPEN',
      `mqtt listens on ${open}, which other machines reach: configure users, or set anonymous: true`,
    )
}
