import { z } from 'zod'

/** Extension point: replace the value schema; type, reference page and messages follow from it. */
export const rulesSection = z
  .record(z.string(), z.unknown())
  .prefault({})
  .describe('Conditions on readings and results that raise alerts or send commands, by name.')
