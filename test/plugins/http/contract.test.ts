import { http } from '../../../plugins/http/index.ts'
import { pluginContract } from '../contract.ts'
import { createEndpoint } from './endpoint.ts'

pluginContract({
  plugin: http,
  async prepare(t) {
    const peer = await createEndpoint()
    t.after(() => peer.stop())
    return { peer, options: { url: `http://127.0.0.1:${peer.port}/ingest`, timeout: '2s' } }
  },
})
