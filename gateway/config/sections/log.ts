import { z } from 'zod'

export const logSection = z
  .strictObject({
    level: z
      .enum(['debug', 'info', 'warn', 'error'])
      .prefault('info')
      .describe('The least important lines that are written.'),
    format: z
      .enum(['auto', 'json', 'pretty'])
      .prefault('auto')
      .describe('`auto` is pretty on a terminal and JSON elsewhere.'),
  })
  .prefault({})
  .describe('What the gateway writes to standard error.')
