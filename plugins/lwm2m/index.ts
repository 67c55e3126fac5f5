import { definePlugin } from '../../gateway/plugin.ts'
import { lwm2mConfig } from './config.ts'
import { createLwm2mService } from './service.ts'

export const lwm2m = definePlugin({
  name: 'lwm2m',
  summary: 'A LwM2M server: clients register, are observed and commanded, and send; serves all that coap does too.',
  roles: ['source', 'commander'],
  config: lwm2mConfig,
  create: createLwm2mService,
})
