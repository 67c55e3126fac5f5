import { definePlugin } from '../../gateway/plugin.ts'
import { config } from './config.ts'
import { createSink } from './sink.ts'
import { createSource } from './source.ts'

export const mqtt = definePlugin({
  name: 'mqtt',
  summary: 'Publishes batches to an MQTT broker, or subscribes to one.',
  roles: ['source', 'sink'],
  config,
  create(options, context) {
    return {
      sink: createSink(options, context),
      ...(options.topics === undefined ? {} : { source: createSource(options, options.topics, context) }),
    }
  },
})
