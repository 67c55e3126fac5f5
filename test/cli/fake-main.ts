/** `gateway/main.ts` with a fake gateway, run as a child process by the tests. */
import { runProgram } from '../../gateway/cli/program.ts'
import { processTerminal } from '../../gateway/cli/terminal.ts'
import { fakeActions } from './fake-actions.ts'

runProgram(process.argv.slice(2), fakeActions, processTerminal()).then((code) => {
  process.exitCode = code
})
