/**
 * ZeroMQ over TCP and IPC: ZMTP 3.1 (37/ZMTP), with peers of 3.0 (23/ZMTP) too. Mechanisms NULL, PLAIN (24/ZMTP-PLAIN)
 * and CURVE (25/ZMTP-CURVE, 26/CurveZMQ), keys in Z85 (32/Z85). All on node:net: the native library has no build for
 * 32-bit ARM.
 *
 *   connection   greeting │ handshake: command frames │ traffic: message and command frames
 *   greeting     FF 0×8 7F │ 3 │ 1 │ mechanism (20) │ as-server (1) │ zeros (31)                        64 bytes
 *   frame        flags (1) │ length (1, or 8 when LONG) │ body
 *                  flags  1 MORE: the message goes on   2 LONG   4 COMMAND   others must be 0
 *   command      length (1) │ name │ data                                                                see wire-command.ts
 *   message      frames, all but the last with MORE                                                      see layout.ts
 *
 *   socket.ts ─▶ listener.ts, dialer.ts ─▶ peer.ts (greeting, mechanism, frames) ─▶ inlet.ts ─▶ emit
 *                                             ▲                                 └─▶ commander.ts, sink.ts
 */
import { definePlugin } from '../../gateway/plugin.ts'
import { config } from './config.ts'
import { createSink } from './sink.ts'
import { createCommandChannel, createSource, INLETS } from './source.ts'

export const zeromq = definePlugin({
  name: 'zeromq',
  summary: 'Takes telemetry from ZeroMQ sockets, sends them commands, and sends batches to PULL or SUB sockets.',
  roles: ['source', 'sink', 'commander'],
  config,
  create(options, context) {
    const commands = createCommandChannel(options, context)
    const places = options.push ?? options.pub
    return {
      ...(INLETS.some((name) => options[name]) && { source: createSource(options, context, commands) }),
      ...((options.router || options.commands) && { commander: commands.commander }),
      ...(places && { sink: createSink(options, places, context) }),
    }
  },
})
