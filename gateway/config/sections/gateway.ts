import { z } from 'zod'
import { text } from '../scalar.ts'

/** It stands in topics, in headers and in file names of receivers. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

export const gatewaySection = z
  .strictObject({
    id: text(
      (value) =>
        ID.test(value)
          ? undefined
          : `gateway id ${JSON.stringify(value)}: use letters, digits, dot, dash and underscore, at most 64`,
      { pattern: ID.source, example: 'site-7' },
    )
      .exactOptional()
      .describe(
        "Name of this gateway in all it sends; by default the host name and four characters of a hash of the machine's id.",
      ),
  })
  .prefault({})
  .describe('The gateway itself.')
