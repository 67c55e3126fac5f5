import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { isUserName } from '../broker/passwords.ts'
import { reasonOf, SluiceError, StartError } from '../errors.ts'
import type { CommandContext } from './actions.ts'
import { type CommonOptions, defineCommand, usageError } from './options.ts'
import type { Terminal } from './terminal.ts'

interface Options extends CommonOptions {
  readonly file?: string
}

export function passwdCommand(context: CommandContext): Command {
  return defineCommand('passwd', {
    summary: "set a user's MQTT password; it is read from the terminal, or from standard input",
    examples: ['sluice passwd --file passwords pump-3', 'echo "$SECRET" | sluice passwd --file passwords pump-3'],
  })
    .argument('<user>')
    .option('-f, --file <file>', 'password file; default as configured, else the line is printed')
    .action(async (user: string, options: Options) => {
      if (!isUserName(user))
        throw usageError(`${JSON.stringify(user)} is no user name: no colon, no # in front, not empty`)
      const { terminal, actions } = context
      const file = options.file ?? (await actions.load(options, terminal.env)).passwordFile
      const password = await readPassword(terminal)
      const line = `${user}:${await actions.hashPassword(password)}`
      if (file === undefined) terminal.print(line)
      else
        terminal.complain(`${await putLine(file, user, line)} ${user} in ${file}; a running gateway reads it by itself`)
    })
}

/** Replaces the user's line or adds one, keeping comments; the file is whole at every moment. */
async function putLine(file: string, user: string, line: string): Promise<'changed' | 'added'> {
  const lines = (await readIfThere(file)).split('\n').filter((one) => one !== '')
  const at = lines.findIndex((one) => one.startsWith(`${user}:`))
  if (at < 0) lines.push(line)
  else lines[at] = line
  const draft = `${file}.${process.pid}.tmp`
  try {
    const handle = await open(draft, 'w', 0o600)
    try {
      await handle.chmod(0o600)
      await keepOwner(handle, file)
      await handle.writeFile(`${lines.join('\n')}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw new StartError('SLUICE_PASSWORD_FILE', `cannot write password file ${file}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
  return at < 0 ? 'added' : 'changed'
}

/** What root changes must stay readable to the gateway, which is not root. */
async function keepOwner(handle: FileHandle, file: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const owner = await stat(file).catch(() => undefined)
  if (owner) await handle.chown(owner.uid, owner.gid)
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new StartError('SLUICE_PASSWORD_FILE', `cannot read password file ${file}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

async function readPassword(terminal: Terminal): Promise<string> {
  const { input } = terminal
  const password = input.isTTY ? await askTwice(terminal) : await firstLine(input)
  if (password === '') throw usageError('the password is empty')
  return password
}

async function firstLine(input: NodeJS.ReadStream): Promise<string> {
  let text = ''
  input.setEncoding('utf8')
  for await (const piece of input) {
    text += piece
    if (text.includes('\n')) break
  }
  return text.split(/\r?\n/, 1)[0] ?? ''
}

async function askTwice(terminal: Terminal): Promise<string> {
  const [first, second] = await askHidden(terminal, ['Password: ', 'Again: '])
  if (first !== second) throw usageError('the two passwords differ')
  return first ?? ''
}

/** Reads one line per question, key by key; nothing of it is shown. */
function askHidden({ input }: Terminal, questions: readonly string[]): Promise<string[]> {
  const answers: string[] = []
  let typed = ''
  process.stderr.write(questions[0] ?? '')
  input.setRawMode(true)
  input.setEncoding('utf8')
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      input.off('data', onData)
      input.setRawMode(false)
      input.pause()
      settle()
    }
    const onData = (keys: string) => {
      for (const key of keys) {
        if (key === '\x03') return finish(() => reject(new SluiceError('SLUICE_INTERRUPTED', 'interrupted')))
        if (key !== '\r' && key !== '\n' && key !== '\x04') {
          typed = key === '\x7f' || key === '\b' ? typed.slice(0, -1) : typed + key
          continue
        }
        answers.push(typed)
        typed = ''
        process.stderr.write(`\n${questions[answers.length] ?? ''}`)
        if (answers.length === questions.length) return finish(() => resolve(answers))
      }
    }
    input.on('data', onData)
  })
}
