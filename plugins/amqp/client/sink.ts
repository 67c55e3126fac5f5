/** Sends batches over AMQP 1.0. What the receiver accepted it has. */
import type { CommandListener, PluginContext, Sink } from '../../../gateway/plugin.ts'
import type { BrokerConfig } from '../config.ts'
import { createDeadline, type Deadline } from '../deadline.ts'
import { publishBatch } from '../publish.ts'
import { fill } from '../routing.ts'
import { receiveCommands } from './commands.ts'
import { endConnection, lostConnection, type Opened, openConnection, timedOut } from './connection.ts'
import { createLinks, type Links } from './links.ts'

interface Link {
  readonly opened: Opened
  readonly links: Links
}

export function createClientSink(config: BrokerConfig, context: PluginContext): Sink {
  const listeners = new Set<(reason: Error) => void>()
  const { commandsFrom } = config
  let link: Link | undefined
  let writing: Deadline | undefined
  let command: CommandListener | undefined

  return {
    async connect(signal) {
      let opened: Opened | undefined
      const broken = (error: Error) => {
        if (opened === undefined || link?.opened !== opened) return
        link = undefined
        writing?.end(error)
        for (const listener of listeners) listener(error)
      }
      opened = await openConnection(config, context, signal, broken)
      link = { opened, links: createLinks(opened, config) }
      if (command && commandsFrom)
        receiveCommands(opened, fill(commandsFrom, { gateway: context.gateway }), context, command)
    },

    async write(batch, signal) {
      if (!link) throw lostConnection(config)
      const { links } = link
      signal.throwIfAborted()
      const deadline = createDeadline(context.clock, config.timeout, signal, () => timedOut(config))
      writing = deadline
      try {
        await publishBatch(config, config.address, batch, links.publish, deadline)
      } finally {
        writing = undefined
        links.forget()
        deadline.clear()
      }
    },

    async close() {
      const ended = link
      link = undefined
      if (ended) await endConnection(ended.opened.connection, context, 500)
    },

    ...(commandsFrom
      ? {
          onCommand(listener: CommandListener) {
            command = listener
          },
        }
      : {}),

    onLost(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
