import { mqtt } from '../../../plugins/mqtt/index.ts'
import { pluginContract } from '../contract.ts'
import { createMosquitto, NO_MOSQUITTO } from '../mosquitto.ts'

pluginContract({
  plugin: mqtt,
  skip: NO_MOSQUITTO,
  async prepare(t) {
    const peer = await createMosquitto()
    t.after(() => peer.dispose())
    return { peer, options: { url: `mqtt://127.0.0.1:${peer.port}`, topics: ['telemetry/#'], timeout: '2s' } }
  },
})
