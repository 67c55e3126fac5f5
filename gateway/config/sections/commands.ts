import { z } from 'zod'

/** Extension point: replace the value schema; type, reference page and messages follow from it. */
export const commandsSection = z
  .record(z.string(), z.unknown())
  .prefault({})
  .describe('Who may command what, and how commands are tried.')
