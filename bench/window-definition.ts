import type { WindowDefinition } from '../gateway/window/stage.ts'

/** As the config makes it of `{ tumbling: 10s, by: [device], delay: 2s }`. */
export const PER_DEVICE: WindowDefinition = {
  name: 'w',
  kind: { tumbling: 10_000 },
  by: ['device'],
  delay: 2000,
  idle: 60_000,
  time: 'event',
  exclude: [],
  statistics: [],
  textValues: 100,
  maxKeys: 100_000,
  whenFull: 'evict_oldest',
  late: 'correct',
  retain: 60_000,
  attach: false,
}
