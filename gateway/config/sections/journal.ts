import { z } from 'zod'
import { bytes } from '../bytes.ts'
import { duration } from '../duration.ts'
import { ON_MAPPINGS } from '../entry.ts'

export const journalSection = z
  .strictObject({
    maxBytes: bytes({ min: 10_000_000 }, { example: '4GB' })
      .prefault('4GB')
      .describe('Disk that may be used for messages as they arrived; the oldest go first.'),
    maxAge: duration({ min: 60_000 }, { example: '7d' })
      .exactOptional()
      .describe('Messages older than this may be deleted although there is room.'),
    commit: duration({ min: 1, max: 60_000 }, { example: '20ms' })
      .prefault('20ms')
      .describe(
        'Longest wait before messages are written together; up to 100ms they are written sooner when the disk is idle. `1s` spares an SD card, and senders wait longer for their acknowledgement.',
      ),
    compress: z
      .union([z.boolean(), z.literal('auto')])
      .prefault('auto')
      .describe('Compress what is written: `true`, `false`, or `auto`: when `commit` is longer than 100ms.'),
    segment: bytes({ min: 65_536, max: 2 ** 30 }, { example: '8MB' })
      .prefault('8MB')
      .describe('Size of one file; files are deleted as a whole.'),
    buffer: bytes({ min: 1_000_000, max: 2 ** 30 }, { example: '8MB' })
      .prefault('8MB')
      .describe('Memory for what is not yet written; when it is full the gateway stops reading its sockets.'),
  })
  .superRefine((value, context) => {
    const { maxBytes, segment } = value
    if (typeof maxBytes !== 'number' || typeof segment !== 'number' || maxBytes >= 2 * segment) return
    context.addIssue({ code: 'custom', message: '`maxBytes` must hold at least two segments', path: ['maxBytes'] })
  }, ON_MAPPINGS)
  .prefault({})
  .describe('The durable log of all that came in.')
