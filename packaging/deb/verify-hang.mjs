/** A bad plugin: while the file /etc/sluice/hang is there, it keeps the event loop to itself. */
import { existsSync } from 'node:fs'

export default ({ z }) => ({
  name: 'hang',
  summary: 'hangs while a file is there',
  roles: ['source'],
  config: z.strictObject({}),
  create: () => ({
    source: {
      run(_emit, signal) {
        const timer = setInterval(() => {
          while (existsSync('/etc/sluice/hang'));
        }, 100)
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(clearInterval(timer)))
        })
      },
    },
  }),
})
