import { definePlugin } from '../../gateway/plugin.ts'
import { coapConfig } from './config.ts'
import { createCoapService } from './service.ts'

export const coap = definePlugin({
  name: 'coap',
  summary: 'Takes telemetry from CoAP devices over UDP and DTLS, observes devices, and sends them commands.',
  roles: ['source', 'commander'],
  config: coapConfig,
  create(config, context) {
    const { source, commander } = createCoapService(config, context)
    return { source, commander }
  },
})
