/** A bare rhea receiver: takes and accepts everything, and does nothing with it. Prints its port. */
import rhea from 'rhea'

const container = rhea.create_container({ id: 'bare', tcp_no_delay: true } as object)
// 500 as the gateway's own `credit`.
container.options = { ...container.options, credit_window: 500, autoaccept: true }
for (const event of ['disconnected', 'connection_error', 'error']) container.on(event, () => {})
container.on('message', () => {})
const server = container.listen({ port: 0, host: '127.0.0.1' })
server.once('listening', () => {
  const address = server.address()
  process.stdout.write(`${JSON.stringify({ event: 'ready', ports: { amqp: (address as { port: number }).port } })}\n`)
})
