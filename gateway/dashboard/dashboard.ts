import type { Dashboard } from '../http/parts.ts'
import { type BundledFile, bundled } from './bundled.ts'

/** The embedded files, or undefined when this gateway was built without. */
export function createDashboard(files: readonly BundledFile[] = bundled): Dashboard | undefined {
  if (files.length === 0) return undefined
  return (path) => {
    const file = files.find((candidate) => candidate.path === path)
    if (!file) return undefined
    // Decoded at each request: a page is opened rarely, memory is short always.
    return { body: Buffer.from(file.gzip, 'base64'), gzip: true, type: file.type, lasting: path !== '/' }
  }
}
