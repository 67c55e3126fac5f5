/** What may stand under `lwm2m:` in the config: all that CoAP has, and what is asked of clients that register. */
import { z } from 'zod'
import { checkCoap, coapFields } from '../coap/config.ts'
import { duration } from '../options.ts'
import { createCatalog } from './catalog.ts'

const TARGET =
  'a path such as /3303/0/5700 (`*` for any instance), or a name such as temperature.sensor_value of a known object'

const target = (what: string) => z.string().min(1).describe(`${what}: ${TARGET}.`)

const observed = z
  .union([
    z.string().transform((path) => ({ path })),
    z.strictObject({
      path: target('What to observe'),
      pmin: duration().optional().describe('At most one notification in this time.'),
      pmax: duration().optional().describe('At least one notification in this time.'),
      gt: z.number().optional().describe('Notify when the value rises above this.'),
      lt: z.number().optional().describe('Notify when the value falls below this.'),
      st: z.number().positive().optional().describe('Notify when the value changed by this much.'),
    }),
  ])
  .describe(`What to observe: ${TARGET}; or that with its attributes.`)

const OPERATIONS = ['read', 'discover', 'write', 'execute', 'create', 'delete'] as const

const command = z
  .strictObject({
    read: target('Read this').optional(),
    discover: target('List what is there').optional(),
    write: target('Write this').optional(),
    execute: target('Execute this').optional(),
    create: target('Create an instance of this object').optional(),
    delete: target('Delete this instance').optional(),
    value: z
      .unknown()
      .optional()
      .describe('What is written, created or given to execute. Default: the arguments of the command.'),
  })
  .refine((given) => OPERATIONS.filter((operation) => given[operation] !== undefined).length === 1, {
    message: `a command is one of ${OPERATIONS.join(', ')}, with a path`,
  })
  .transform((given) => {
    const operation = OPERATIONS.find((name) => given[name] !== undefined) ?? 'read'
    return { operation, path: given[operation] ?? '', value: given.value as unknown }
  })

const commands = z.record(z.string().min(1), command).default({})
const observe = z.array(observed).optional()

const ownObject = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/)
    .describe('First part of its field names.'),
  resources: z
    .record(
      z.string().regex(/^\d{1,5}$/),
      z.strictObject({
        name: z
          .string()
          .regex(/^[a-z][a-z0-9_]*$/)
          .describe('Second part of its field name.'),
        type: z
          .enum(['text', 'integer', 'float', 'boolean', 'opaque', 'time', 'link', 'none'])
          .describe('Type of its values; `none` is executed.'),
        unit: z.string().optional().describe('Unit, as SenML writes it.'),
        observe: z.boolean().default(false).describe('Observe it when nothing else is asked for.'),
      }),
    )
    .describe('Its resources by number.'),
})

const fields = {
  observe: observe.describe(
    'What is observed on clients that have it, after they register. Default: every value that a known object is there to measure.',
  ),
  commands: commands.describe('Names for operations: `on: { write: /3311/0/5850, value: true }`.'),
  endpoints: z
    .record(
      z.string().min(1),
      z.strictObject({
        observe: observe.describe('What is observed on this client, instead of what is said for all.'),
        commands: commands.describe('Names for operations on this client, beside those for all.'),
      }),
    )
    .default({})
    .describe('What differs for single clients, by endpoint name.'),
  objects: z
    .record(z.string().regex(/^\d{1,5}$/), ownObject)
    .default({})
    .describe('Objects that are not in the table of this plugin, by number.'),
  awake: duration()
    .default(93_000)
    .describe('How long a client in queue mode listens after it spoke; then commands wait until it speaks again.'),
  silence: duration()
    .default(3_600_000)
    .describe('Observe again, when a client updates its registration, what was not heard of for this long.'),
  maxRegistrations: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe('Clients registered at once; beyond it 5.03.'),
}

export const lwm2mConfig = z.strictObject({ ...coapFields(5683), ...fields }).superRefine((config, context) => {
  checkCoap(config, context)
  const catalog = createCatalog(config.objects)
  // A command that is wrong in itself stands here as it was written.
  const check = (text: string | undefined, path: (string | number)[]) => {
    if (text !== undefined && !catalog.resolve(text))
      context.addIssue({ code: 'custom', path, message: `${text} is not ${TARGET}` })
  }
  const checkOf = (part: Pick<Lwm2mConfig, 'observe' | 'commands'>, at: string[]) => {
    for (const [i, { path }] of (part.observe ?? []).entries()) check(path, [...at, 'observe', i])
    for (const [name, { path }] of Object.entries(part.commands)) check(path, [...at, 'commands', name])
  }
  checkOf(config, [])
  for (const [endpoint, part] of Object.entries(config.endpoints)) checkOf(part, ['endpoints', endpoint])
})

const shape = z.strictObject({ ...coapFields(5683), ...fields })
export type Lwm2mConfig = z.output<typeof shape>
export type Operation = (typeof OPERATIONS)[number]
