import { zeromq } from '../../../plugins/zeromq/index.ts'
import { pluginContract } from '../contract.ts'
import { freePort } from '../mosquitto.ts'
import { NO_ZMQ, type Oracle, startOracle } from './oracle.ts'

pluginContract({
  plugin: zeromq,
  skip: NO_ZMQ,
  async prepare(t) {
    const push = `tcp://127.0.0.1:${await freePort()}`
    const pull = `tcp://127.0.0.1:${await freePort()}`
    let zmq: Oracle | undefined
    return {
      peer: {
        async start() {
          zmq = startOracle(t)
          await zmq.socket('pull', 'PULL', { bind: pull })
          await zmq.socket('push', 'PUSH', { bind: push })
        },
        stop: async () => zmq?.kill(),
      },
      options: { pull: { connect: push }, push: pull, timeout: '2s' },
    }
  },
})
