// `node packaging/deb/build.mjs [--arch x64|arm64|armhf|all]`: a Debian package of each executable that was built, in dist/.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { packageVersion, say } from '../../scripts/setup.mjs'
import { runFor, runProgram } from '../emulation.mjs'
import { executablePath, TARGETS } from '../targets.mjs'

const MAINTAINER = 'Sluice maintainers <maintainers@example.org>'
/** Of all files in the package: the same executable gives the same package. */
const EPOCH = Date.UTC(2026, 0, 1) / 1000

const { values } = parseArgs({ options: { arch: { type: 'string', default: 'all' } } })
const archs = values.arch === 'all' ? Object.keys(TARGETS) : [values.arch]
const version = packageVersion()
for (const arch of archs) {
  if (!Object.hasOwn(TARGETS, arch)) throw new Error(`there is no architecture ${arch}`)
  const executable = executablePath(version, arch)
  if (existsSync(executable)) pack(TARGETS[arch], executable)
  else if (values.arch !== 'all') throw new Error(`${executable} is not built: npm run build:bin -- --arch ${arch}`)
}

function pack(target, executable) {
  const root = mkdtempSync(join(tmpdir(), 'sluice-deb-'))
  try {
    fill(root, target, executable)
    const output = `dist/sluice_${version}_${target.debian}.deb`
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(EPOCH) }
    runProgram('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', root, output], { env })
    say(`${output}  ${(statSync(output).size / 1e6).toFixed(1)} MB`)
  } finally {
    rmSync(root, { recursive: true })
  }
}

function fill(root, target, executable) {
  chmodSync(root, 0o755)
  const put = (path, content, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 })
    writeFileSync(join(root, path), content)
    chmodSync(join(root, path), mode)
  }
  const own = (name) => readFileSync(join('packaging/deb', name))
  put('usr/bin/sluice', '', 0o755)
  copyFileSync(executable, join(root, 'usr/bin/sluice'))
  chmodSync(join(root, 'usr/bin/sluice'), 0o755)
  put('lib/systemd/system/sluice.service', own('sluice.service'))
  put('etc/sluice/sluice.yaml', own('sluice.yaml'))
  put('usr/share/man/man1/sluice.1.gz', zipped(own('sluice.1')))
  put('usr/share/bash-completion/completions/sluice', own('sluice.bash'))
  put('usr/share/fish/vendor_completions.d/sluice.fish', own('sluice.fish'))
  put('usr/share/doc/sluice/copyright', copyright())
  put('usr/share/doc/sluice/changelog.gz', zipped(changelog()))
  put('usr/share/doc/sluice/NOTICES.gz', zipped(runFor(target, executable, ['version', '--licenses'])))
  put('usr/share/lintian/overrides/sluice', own('lintian-overrides'))
  for (const script of readdirSync('packaging/deb/scripts')) put(`DEBIAN/${script}`, own(`scripts/${script}`), 0o755)
  put('DEBIAN/conffiles', '/etc/sluice/sluice.yaml\n')
  put('DEBIAN/control', control(target, installedSize(root)))
  put('DEBIAN/md5sums', runProgram('sh', ['-c', 'find usr lib -type f | LC_ALL=C sort | xargs md5sum'], { cwd: root }))
}

function control(target, size) {
  const libraries = [
    'libc6 (>= 2.28)',
    'libgcc-s1',
    'libstdc++6 (>= 9)',
    ...(target.debian === 'armhf' ? ['libatomic1'] : []),
  ]
  return `Package: sluice
Version: ${version}
Architecture: ${target.debian}
Maintainer: ${MAINTAINER}
Installed-Size: ${size}
Depends: ${libraries.join(', ')}
Recommends: systemd
Section: net
Priority: optional
Description: edge gateway for telemetry
 Takes readings over MQTT, HTTP and other protocols, acknowledges what is on
 its disk, computes statistics over windows of time, commands actuators, and
 forwards batches upstream. While the uplink is down it keeps them.
`
}

/** KiB, as dpkg counts. */
function installedSize(root) {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
  const sizes = files.map((file) => (file.isFile() ? Math.ceil(statSync(join(file.path, file.name)).size / 1024) : 1))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** In Debian's form; what changed is told in CHANGELOG.md. */
function changelog() {
  const date = new Date(EPOCH * 1000).toUTCString().replace('GMT', '+0000')
  return `sluice (${version}) stable; urgency=medium\n\n  * Sluice ${version}.\n\n -- ${MAINTAINER}  ${date}\n`
}

function copyright() {
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Sluice
Comment: What the executable contains, with all licences, is in NOTICES.gz.

Files: *
Copyright: 2026 The Sluice authors
License: Apache-2.0
 On Debian systems the full text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
`
}

function zipped(content) {
  return gzipSync(content, { level: 9 })
}
