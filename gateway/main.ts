/** The `sluice` command: gives the command line what it needs and ends the process with its exit code. */
import { plugins } from '../plugins/index.ts'
import { formatHash, hashPassword } from './broker/passwords.ts'
import type { Actions } from './cli/actions.ts'
import { type Configuration, loadConfiguration } from './cli/configuration.ts'
import { endWithDefects, runProgram } from './cli/program.ts'
import { processTerminal } from './cli/terminal.ts'
import { systemClock } from './clock.ts'
import { parseDuration } from './config/duration.ts'
import { StartError } from './errors.ts'

const actions: Actions<Configuration> = {
  // Set by the build.
  version: process.env.SLUICE_VERSION ?? '0.0.0-source',
  clock: systemClock,
  load: (choice, env) => loadConfiguration(choice, env, { plugins }),
  parseDuration,
  startGateway: () => notYet('run'),
  runDemo: () => notYet('demo'),
  auditData: () => notYet('audit'),
  hashPassword: async (password) => formatHash(await hashPassword(password)),
}

/** The stages these commands need are not wired up in this version. */
async function notYet(command: string): Promise<never> {
  throw new StartError('SLUICE_NOT_WIRED', `sluice ${command} is not wired up yet`)
}

const terminal = processTerminal()
endWithDefects(terminal)
// Not process.exit: what was printed may still be on its way through a pipe.
runProgram(process.argv.slice(2), actions, terminal).then((code) => {
  process.exitCode = code
})
