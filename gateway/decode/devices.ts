import { DecodeError } from '../errors.ts'
import type { Device } from '../reading.ts'

/** Every device that has been seen, one object per id, up to a cap. */
export interface Devices {
  readonly size: number
  readonly limit: number
  /**
   * The device of that id, new when it is seen for the first time.
   * @throws DecodeError `device` when it is no device id, `too_many_devices` when the cap is reached
   */
  get(id: string): Device
  /** Undefined when it was never seen. */
  find(id: string): Device | undefined
  /** In the order in which they were first seen. */
  all(): IterableIterator<Device>
}

/** In bytes of UTF-8. */
const MAX_DEVICE_ID = 256

/** @param limit how many devices are remembered; the memory a stranger can take by inventing ids */
export function createDevices(limit = 1_000_000): Devices {
  const known = new Map<string, Device>()
  return {
    limit,
    get size() {
      return known.size
    },
    get(id) {
      return known.get(id) ?? add(known, limit, id)
    },
    find: (id) => known.get(id),
    all: () => known.values(),
  }
}

function add(known: Map<string, Device>, limit: number, id: string): Device {
  if (!isDeviceId(id)) {
    throw new DecodeError('device', 'a device id is 1 to 256 bytes of UTF-8 without control characters')
  }
  if (known.size >= limit) throw new DecodeError('too_many_devices', `device ${id} is one more than ${limit}`)
  // Room for two windows: an array that grows takes room for seventeen.
  const device: Device = { id, slots: [undefined, undefined] }
  known.set(id, device)
  return device
}

/** Any UTF-8 text of at most 256 bytes without control characters. */
export function isDeviceId(id: string): boolean {
  return id !== '' && Buffer.byteLength(id) <= MAX_DEVICE_ID && !/[\p{Cc}\p{Surrogate}]/u.test(id)
}
