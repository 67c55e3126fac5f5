import { z } from 'zod'
import { path } from '../entry.ts'

export const pluginsSection = z
  .array(path({ example: './my-plugin.js' }))
  .prefault([])
  .describe('Files with plugins of your own; each exports `(sluice) => plugin`.')
