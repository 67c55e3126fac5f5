import { z } from 'zod'

export const runningConfig = z
  .object({
    file: z.string().nullable(),
    values: z.unknown().describe('as a person would write it: defaults filled in, secrets hidden'),
    origins: z.record(z.string(), z.enum(['default', 'file', 'env'])).describe('by dotted path, one per value'),
  })
  .describe('the config as it runs')

export const configFile = z
  .object({
    file: z.string(),
    yaml: z.string().describe('its text, secrets included'),
    digest: z.string().describe('names this text; give it back with a changed one'),
  })
  .describe('the config file as it is on disk')

export const configText = z
  .strictObject({
    yaml: z
      .string()
      .max(4 * 1024 * 1024)
      .describe('the whole config, as it would stand in the file'),
    digest: z.string().optional().describe('of the text that was changed: refused when the file is another one by now'),
  })
  .describe('a changed config')

export const configCheck = z
  .object({
    valid: z.boolean(),
    mistakes: z
      .array(
        z.object({
          file: z.string(),
          line: z.number(),
          column: z.number(),
          message: z.string().describe('what is wrong and how to mend it'),
        }),
      )
      .describe('all of them'),
    failedTests: z.array(z.string()).describe('tests of the rules that it would fail'),
    apply: z.array(z.string()).describe('parts that change and take effect at once'),
    restart: z
      .array(z.object({ path: z.string(), reason: z.string() }))
      .describe('parts that differ from what runs and need a restart'),
    backup: z.string().optional().describe('after it was applied: file with the text before'),
  })
  .describe('what a changed config would do')

export const logLevel = z
  .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']) })
  .describe('the least important lines that are written; until the next reload or restart')

export type ConfigFile = z.infer<typeof configFile>
export type ConfigCheck = z.infer<typeof configCheck>
export type LogLevelSetting = z.infer<typeof logLevel>
export type RunningConfig = z.infer<typeof runningConfig>
