/** The `sluice` command: gives the command line what it needs and ends the process with its exit code. */
import { plugins } from '../plugins/index.ts'
import { formatHash, hashPassword } from './broker/passwords.ts'
import type { Actions, RunningGateway } from './cli/actions.ts'
import { type Configuration, loadConfiguration } from './cli/configuration.ts'
import { endWithDefects, runProgram } from './cli/program.ts'
import { processTerminal } from './cli/terminal.ts'
import { type Clock, systemClock } from './clock.ts'
import { parseDuration } from './config/duration.ts'
import { startGateway } from './gateway.ts'
import { keepHeapSmall } from './heap.ts'
import { loadPluginFile } from './hosting/plugin-file.ts'
import { auditData } from './journal/audit.ts'
import type { Log } from './logging.ts'
import { openStoredOutbox } from './outbox/stored.ts'

// Set by the build.
const version = process.env.SLUICE_VERSION ?? '0.0.0-source'

const actions: Actions<Configuration> = {
  version,
  clock: systemClock,
  load: (choice, env) => loadConfiguration(choice, env, { plugins, loadPlugin: loadPluginFile }),
  parseDuration,
  startGateway: ({ loaded, clock, log }) => start(loaded, clock, log),
  runDemo: async (options, terminal) => {
    const { runDemo } = await import('./demo/demo.ts')
    return runDemo(options, terminal, { plugins, clock: systemClock, version })
  },
  auditData,
  openOutbox: (options) => openStoredOutbox({ ...options, clock: systemClock }),
  hashPassword: async (password) => formatHash(await hashPassword(password)),
}

async function start(
  { loaded, source }: Configuration,
  clock: Clock,
  log: Log,
): Promise<RunningGateway<Configuration>> {
  keepHeapSmall(clock)
  const gateway = await startGateway({ loaded, source, clock, log, version })
  return { ports: gateway.ports, reload: (next) => gateway.reload(next.loaded), stop: () => gateway.stop() }
}

const terminal = processTerminal()
endWithDefects(terminal)
// Not process.exit: what was printed may still be on its way through a pipe.
runProgram(process.argv.slice(2), actions, terminal).then((code) => {
  process.exitCode = code
})
