/** `gateway/main.ts` with a fake gateway, run as a child process by the tests. */
import { endWithDefects, runProgram } from '../../gateway/cli/program.ts'
import { processTerminal } from '../../gateway/cli/terminal.ts'
import { fakeActions } from './fake-actions.ts'

const terminal = processTerminal()
endWithDefects(terminal)
runProgram(process.argv.slice(2), fakeActions, terminal).then((code) => {
  process.exitCode = code
})
