/** Where a command writes to and reads from; tests give their own. */

export interface Terminal {
  /** One line of what was asked for. */
  print(line: string): void
  /** One line about it. */
  complain(line: string): void
  /** Whether standard output is a person's terminal that wants colour. */
  readonly colour: boolean
  readonly env: NodeJS.ProcessEnv
  readonly input: NodeJS.ReadStream
}

export function processTerminal(): Terminal {
  // A reader that has seen enough (`sluice tail | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  return {
    print: (line) => void process.stdout.write(`${line}\n`),
    complain: (line) => void process.stderr.write(`${line}\n`),
    colour: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
    env: process.env,
    input: process.stdin,
  }
}

export interface Paint {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
}

export function paintFor(terminal: Terminal): Paint {
  const code = (open: number, close: number) => (text: string) =>
    terminal.colour ? `\x1b[${open}m${text}\x1b[${close}m` : text
  return { bold: code(1, 22), dim: code(2, 22), red: code(31, 39), green: code(32, 39) }
}

/** Text of sensors as it can be shown: what would steer the terminal is made visible instead. */
export function harmless(text: string): string {
  let shown = ''
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const steers =
      code < 32 ||
      (code >= 127 && code < 160) ||
      (code >= 0x202a && code <= 0x202e) ||
      (code >= 0x2066 && code <= 0x2069)
    shown += steers ? `\\u${code.toString(16).padStart(4, '0')}` : character
  }
  return shown
}
