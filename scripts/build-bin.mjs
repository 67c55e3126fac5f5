// `npm run build:bin -- --arch x64|arm64|armhf|all [--node-binary FILE]`: one executable per architecture, in dist/.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { deflateRawSync } from 'node:zlib'
import { transform } from 'esbuild'
import { makeExecutable } from '../packaging/executable.mjs'
import { knownFlaw, nodeBinary } from '../packaging/node-binary.mjs'
import { billOfMaterials, bundledPackages, notices } from '../packaging/notices.mjs'
import { executablePath, TARGETS } from '../packaging/targets.mjs'
import { packageVersion, run, say } from './setup.mjs'

try {
  await build()
} catch (error) {
  process.stderr.write(`build:bin: ${error.message}\n`)
  process.exitCode = 1
}

async function build() {
  const { archs, nodeFile } = choice()
  run(process.execPath, ['build.mjs'])
  const version = packageVersion()
  const packages = bundledPackages(metafiles())
  for (const arch of archs) {
    const node = nodeBinary(TARGETS[arch], nodeFile)
    const flaw = knownFlaw(node.version)
    if (flaw !== undefined) warn(arch, flaw)
    const output = executablePath(version, arch)
    const script = await scriptFor(notices({ version, packages, node }))
    makeExecutable({ target: TARGETS[arch], node: node.file, script, output })
    const bill = billOfMaterials({ version, packages, node, arch, executable: output })
    writeFileSync(`${output}.cdx.json`, `${JSON.stringify(bill, null, 2)}\n`)
    say(`${output}  ${(statSync(output).size / 1e6).toFixed(1)} MB, node ${node.version} from ${node.from}`)
  }
}

function choice() {
  const { values } = parseArgs({ options: { arch: { type: 'string' }, 'node-binary': { type: 'string' } } })
  const { arch = process.arch === 'arm' ? 'armhf' : process.arch, 'node-binary': nodeFile } = values
  const archs = arch === 'all' ? Object.keys(TARGETS) : [arch]
  if (!Object.hasOwn(TARGETS, archs[0])) throw new Error(refusal(arch))
  if (nodeFile !== undefined && archs.length > 1)
    throw new Error('--node-binary is of one architecture: name it with --arch')
  return { archs, nodeFile }
}

function refusal(arch) {
  const known = `--arch is one of ${Object.keys(TARGETS).join(', ')}, all`
  return /^(armv?6l?|armel)$/i.test(arch)
    ? `ARMv6 (Raspberry Pi 1 and Zero) is not supported: Node needs ARMv7. ${known}`
    : `there is no architecture ${arch}: ${known}`
}

/** Of the gateway and of what is built into it. */
function metafiles() {
  const files = readdirSync('dist').filter((file) => file.endsWith('.meta.json'))
  return files.map((file) => JSON.parse(readFileSync(`dist/${file}`, 'utf8')))
}

/** The bundle with the notices inside: there is nothing else to read at run time. */
async function scriptFor(text) {
  const bundle = readFileSync('dist/sluice.cjs', 'utf8').replace(/^#!.*\n/, '')
  const notices = JSON.stringify(deflateRawSync(text, { level: 9 }).toString('base64'))
  const { code } = await transform(bundle, {
    define: { 'process.env.SLUICE_NOTICES': notices },
    minifyWhitespace: true,
    target: 'node20.11',
    platform: 'node',
    legalComments: 'none',
  })
  return code
}

function warn(arch, flaw) {
  const bar = '!'.repeat(100)
  say(
    `${bar}\n${arch}: ${flaw}.\nDo not release this file: build with --node-binary from a newer official build of Node.\n${bar}`,
  )
}
