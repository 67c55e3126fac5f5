import { z } from 'zod'
import { bytes } from '../bytes.ts'

export const historySection = z
  .strictObject({
    maxBytes: bytes({ min: 0 }, { example: '64MB' })
      .prefault('64MB')
      .describe(
        'Disk for what every field was: half of it by the minute, three eighths by the hour, the rest by the day; the oldest go first. 0 keeps none.',
      ),
  })
  .prefault({})
  .describe('What charts show of the past: count, least, greatest and mean of every field, and of windows’ results.')
