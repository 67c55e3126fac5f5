import { definePlugin, type Roles } from '../../gateway/plugin.ts'
import { createBrokerSink } from './broker/sink.ts'
import { createBrokerSource } from './broker/source.ts'
import { createClientSink } from './client/sink.ts'
import { config } from './config.ts'
import { createListener } from './listener/listener.ts'

export const amqp = definePlugin({
  name: 'amqp',
  summary: 'Takes AMQP 1.0 from devices without a broker, consumes from RabbitMQ and publishes to it.',
  roles: ['source', 'sink', 'commander'],
  config,
  create(options, context): Roles {
    const { listen, url } = options
    if (listen !== undefined) return createListener({ ...options, listen }, context)
    if (url === undefined) return {}
    const broker = { ...options, url }
    if (options.protocol === '1.0') return { sink: createClientSink(broker, context) }
    const sink = createBrokerSink(broker, context)
    if (options.queue === undefined && !options.commands) return { sink }
    return { sink, ...createBrokerSource(broker, context) }
  },
})
