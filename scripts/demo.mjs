// `npm run demo`: installs, builds, and runs the gateway with a simulated fleet and an embedded upstream.
import { spawn } from 'node:child_process'
import { installPackages, run } from './setup.mjs'

installPackages()
run(process.execPath, ['build.mjs'])
const demo = spawn(process.execPath, ['dist/sluice.cjs', 'demo', ...process.argv.slice(2)], { stdio: 'inherit' })
// Ctrl-C reaches the demo by the terminal's process group; this process only waits for it.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => demo.kill('SIGTERM'))
demo.on('exit', (code) => process.exit(code ?? 1))
