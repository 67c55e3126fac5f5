/** The plugins built in. A single executable cannot scan folders, so they stand here, one line each. */
import type { Plugin } from '../gateway/plugin.ts'
import { amqp } from './amqp/index.ts'
import { coap } from './coap/index.ts'
import { http } from './http/index.ts'
import { lwm2m } from './lwm2m/index.ts'
import { mqtt } from './mqtt/index.ts'
import { zeromq } from './zeromq/index.ts'

export const plugins: readonly Plugin[] = [
  mqtt, //
  http,
  amqp,
  zeromq,
  coap,
  lwm2m,
]
