import type { Target } from './targets.mjs'

/** How a program of the target is started here. */
export function launcher(target: Target): { command: string[]; env: Record<string, string> }
/** What is missing to run programs of the target, or undefined. */
export function missingEmulation(target: Target): string | undefined
