import { z } from 'zod'

/** Extension point: replace the value schema; type, reference page and messages follow from it. */
export const devicesSection = z
  .record(z.string(), z.unknown())
  .prefault({})
  .describe('What people say of devices: name, room, units, commands; by device id.')
