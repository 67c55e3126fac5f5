/**
 * How V8 keeps house. What a message allocates dies with it, so the nursery is kept small: one that grows (to 16 MB,
 * three times) only lets dead socket buffers pile up, and optimizing for size keeps the peak of 5,000 devices under load
 * at 114 MB instead of 147.
 *
 * With very many devices the same thrift costs more than it saves: at 100,000 the collector ran six times as often and
 * a reading took two and a half times the processor. So a large heap is given room.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import type { Clock } from './clock.ts'

/** Of live objects, bytes: thrift ends above the one and comes back below the other. */
const LARGE = 100e6
const SMALL = 80e6
/** How often it is looked, ms. */
const EVERY = 1000

export function keepHeapSmall(clock: Clock): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  let thrifty = false
  const look = () => {
    const { used_heap_size: used } = getHeapStatistics()
    const small = used < (thrifty ? LARGE : SMALL)
    if (small === thrifty) return
    thrifty = small
    setFlagsFromString(thrifty ? '--optimize-for-size' : '--no-optimize-for-size')
  }
  look()
  clock.every(EVERY, look)
}
