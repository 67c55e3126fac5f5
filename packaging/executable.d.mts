import type { Target } from './targets.mjs'

/** @param parts `node` and `output` are files, `script` is the text of the CommonJS bundle */
export function makeExecutable(parts: { target: Target; node: string; script: string; output: string }): void
