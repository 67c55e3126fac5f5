/** Loads a module a person wrote from its file; the single executable needs this, because it cannot `require` files. */
import Module from 'node:module'
import { pathToFileURL } from 'node:url'

type Import = (url: string) => Promise<unknown>

/** `_compile` is what Node's own loader of files calls; it has no declared type. */
interface CompilingModule {
  readonly exports: unknown
  _compile(code: string, file: string): void
}

/**
 * What the file exports, ECMAScript module or CommonJS.
 *
 * @param file absolute path
 * @throws whatever loading it throws
 */
export async function importFile(file: string): Promise<unknown> {
  const url = pathToFileURL(file).href
  try {
    return await import(url)
  } catch (error) {
    if (codeOf(error) !== 'ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING') throw error
    return importerOfFiles()(url)
  }
}

/** Node 20.11 gives the main script of an executable no `import()`; a module that its loader compiles has one. */
function importerOfFiles(): Import {
  const module: unknown = new Module('/sluice-import.cjs')
  const compiling = module as CompilingModule
  compiling._compile('module.exports = (url) => import(url)', '/sluice-import.cjs')
  return compiling.exports as Import
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
