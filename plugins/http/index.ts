import { definePlugin } from '../../gateway/plugin.ts'
import { config } from './config.ts'
import { createSink } from './sink.ts'

export const http = definePlugin({
  name: 'http',
  summary: 'Sends batches to an HTTP or HTTPS endpoint.',
  roles: ['sink'],
  config,
  create: (options, context) => ({ sink: createSink(options, context) }),
})
