// Bundles the gateway into one CommonJS file, dist/sluice.cjs: what `npx sluice` runs and what the executable embeds.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { embedDashboard } from './dashboard/bundle.mjs'

const { version } = JSON.parse(await readFile('package.json', 'utf8'))
await mkdir('dist', { recursive: true })
/** zod brings its messages in fifty languages, 300 KB; ours are our own. */
const englishOnly = {
  name: 'english-only',
  setup(bundle) {
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
    }))
  },
}
const result = await build({
  entryPoints: ['gateway/main.ts'],
  outfile: 'dist/sluice.cjs',
  bundle: true,
  platform: 'node',
  target: 'node20.11',
  format: 'cjs',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  define: { 'process.env.SLUICE_VERSION': JSON.stringify(version) },
  // Optional accelerators of `ws`; it works without, and an executable carries no native addon.
  external: ['bufferutil', 'utf-8-validate'],
  plugins: [embedDashboard, englishOnly],
  banner: { js: '#!/usr/bin/env node' },
  logLevel: 'warning',
  metafile: true,
})
await chmod('dist/sluice.cjs', 0o755)
// What went in: the licence notices of an executable are made from it.
await writeFile('dist/sluice.meta.json', JSON.stringify(result.metafile))
const bytes = Object.values(result.metafile.outputs)[0].bytes
process.stdout.write(`dist/sluice.cjs ${(bytes / 1e6).toFixed(2)} MB\n`)
