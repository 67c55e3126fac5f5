// Bundles the dashboard into a page, a script and a style sheet, and puts them into the gateway's bundle in place of
// gateway/dashboard/bundled.ts.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** Files as `gateway/dashboard/bundled.ts` describes them. */
export async function bundleDashboard() {
  const { outputFiles } = await build({
    entryPoints: { app: 'dashboard/app/main.tsx', style: 'dashboard/style.css' },
    outdir: 'unused',
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome111', 'firefox114', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: '{}',
    legalComments: 'none',
    logLevel: 'warning',
  })
  const chart = await readFile('node_modules/uplot/dist/uPlot.min.css', 'utf8')
  const script = textOf(outputFiles, 'app.js')
  const style = chart + textOf(outputFiles, 'style.css')
  const js = `/assets/app-${hashOf(script)}.js`
  const css = `/assets/style-${hashOf(style)}.css`
  const page = (await readFile('dashboard/index.html', 'utf8')).replace('{{js}}', js).replace('{{css}}', css)
  return [
    file('/', 'text/html; charset=utf-8', page),
    file(js, 'text/javascript; charset=utf-8', script),
    file(css, 'text/css; charset=utf-8', style),
  ]
}

/** esbuild plugin. */
export const embedDashboard = {
  name: 'dashboard',
  setup(building) {
    building.onLoad({ filter: /gateway[\\/]dashboard[\\/]bundled\.ts$/ }, async () => {
      const files = await bundleDashboard()
      const size = files.reduce((sum, one) => sum + Buffer.byteLength(one.gzip, 'base64'), 0)
      process.stdout.write(`dashboard ${(size / 1000).toFixed(1)} kB compressed\n`)
      return { contents: `export const bundled = ${JSON.stringify(files)}`, loader: 'js' }
    })
  },
}

function textOf(outputs, name) {
  return outputs.find((one) => one.path.endsWith(name)).text
}

function hashOf(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

function file(path, type, text) {
  return { path, type, gzip: gzipSync(text, { level: 9 }).toString('base64') }
}
