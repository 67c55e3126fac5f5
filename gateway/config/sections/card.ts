import { z } from 'zod'
import { bytes } from '../bytes.ts'

export const cardSection = z
  .strictObject({
    size: bytes({ min: 1_000_000 }, { example: '32GB' })
      .exactOptional()
      .describe('Capacity of the card or disk that holds the data; by default what Linux says of it.'),
    cycles: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(1000)
      .describe(
        'How often each of its cells may be written: about 1,000 for a cheap card, 10,000 for an industrial one.',
      ),
  })
  .prefault({})
  .describe('What the estimate of the years that the card lasts reckons with. It changes nothing else.')
