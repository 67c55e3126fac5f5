/** The licence notices and the bill of materials (CycloneDX) of what an executable contains. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const LINE = '-'.repeat(78)
/** `a/node_modules/b/node_modules/@c/d/file.js` → up to `@c/d`. */
const PACKAGE = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//

/**
 * The packages whose files went into the bundle, in order of their names.
 *
 * @param metafiles of esbuild
 */
export function bundledPackages(metafiles) {
  const inputs = metafiles.flatMap((metafile) => Object.values(metafile.outputs).flatMap(usedInputs))
  const folders = new Set(inputs.flatMap((input) => PACKAGE.exec(input)?.[1] ?? []))
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages
  return [...folders].map((folder) => describe(folder, lock[folder])).sort(byName)
}

function usedInputs(output) {
  return Object.entries(output.inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : []))
}

function describe(folder, locked) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  if (typeof license !== 'string') throw new Error(`${folder}: its package.json names no licence`)
  return { name, version, license, integrity: locked?.integrity, text: licenseText(folder) }
}

/** Every package must be named, also one that forgot to enclose the text of its licence. */
function licenseText(folder) {
  const files = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
    .sort()
  return files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n')
}

function byName(a, b) {
  return a.name < b.name || (a.name === b.name && a.version < b.version) ? -1 : 1
}

/** One text for people and lawyers. */
export function notices({ version, packages, node }) {
  const own = existsSync('LICENSE') ? readFileSync('LICENSE', 'utf8').trim() : ''
  const parts = [
    `Sluice ${version} (Apache-2.0) contains the software named below, under these licences.\n\n${own}`,
    ...packages.map(({ name, version: at, license, text }) => {
      const body = text || 'The package encloses no text of its licence.'
      return `${name} ${at} (${license})\n\n${body}`
    }),
    `Node.js ${node.version}, and what it contains\n\n${readFileSync(node.license, 'utf8').trim()}`,
  ]
  return `${parts.join(`\n\n${LINE}\n`)}\n`
}

/** https://cyclonedx.org/docs/1.5/json/ without what would differ from build to build. */
export function billOfMaterials({ version, packages, node, arch, executable }) {
  const digest = createHash('sha256').update(readFileSync(executable)).digest('hex')
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': `sluice@${version}`,
        name: 'sluice',
        version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
        hashes: [{ alg: 'SHA-256', content: digest }],
        properties: [{ name: 'sluice:architecture', value: arch }],
      },
    },
    components: [nodeComponent(node), ...packages.map(npmComponent)],
    dependencies: [
      {
        ref: `sluice@${version}`,
        dependsOn: [nodeComponent(node), ...packages.map(npmComponent)].map((one) => one['bom-ref']),
      },
    ],
  }
}

function nodeComponent({ version, from }) {
  const bare = version.slice(1)
  return {
    type: 'platform',
    'bom-ref': `node@${bare}`,
    name: 'node',
    version: bare,
    purl: `pkg:generic/node@${bare}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${bare}:*:*:*:*:*:*:*`,
    licenses: [{ license: { id: 'MIT' } }],
    properties: [{ name: 'sluice:from', value: from }],
  }
}

function npmComponent({ name, version, license, integrity }) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: [/ (OR|AND|WITH) /.test(license) ? { expression: license } : { license: { id: license } }],
    ...(integrity?.startsWith('sha512-')
      ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.slice(7), 'base64').toString('hex') }] }
      : {}),
  }
}
