/** A changed config: every mistake in it, what it would change, and only then the button that applies it. */
import { useContext, useEffect, useRef, useState } from 'preact/hooks'
import { api, type ConfigCheck, type ConfigFile } from '../app/api.ts'
import { SessionContext } from '../app/session.ts'
import { texts } from '../app/texts.ts'
import { Failure } from './table.tsx'

type Checked = { readonly yaml: string; readonly result: ConfigCheck }

export function ConfigEditor({ onApplied }: { onApplied: () => void }) {
  const [file, setFile] = useState<ConfigFile>()
  const { user } = useContext(SessionContext)
  const [closed, setClosed] = useState<string>(texts.config.local)
  const [yaml, setYaml] = useState('')
  const [checked, setChecked] = useState<Checked>()
  const [said, say] = useState('')
  const [error, setError] = useState<string>()
  const area = useRef<HTMLTextAreaElement>(null)
  const load = () =>
    api.configFile().then(
      (given) => {
        setFile(given)
        setYaml(given.yaml)
      },
      (reason: Error) => setClosed(reason.message),
    )
  // Without a token anybody on this machine could ask: the file is not theirs to see.
  useEffect(() => void (user !== 'local' && load()), [user])
  const act = (doing: Promise<ConfigCheck>, done: (result: ConfigCheck) => void) =>
    doing.then(
      (result) => {
        setError(undefined)
        done(result)
      },
      (reason: Error) => setError(reason.message),
    )
  const check = () => act(api.checkConfig(yaml), (result) => setChecked({ yaml, result }))
  const apply = () =>
    act(api.applyConfig(yaml, file?.digest ?? ''), (result) => {
      setChecked(undefined)
      say(texts.config.applied(result.backup ?? ''))
      void load()
      onApplied()
    })
  const current = checked?.yaml === yaml ? checked.result : undefined
  const { title, hint, label, check: checkText, apply: applyText } = texts.config
  return (
    <section class="card">
      <h2>{title}</h2>
      <p class="quiet">{file ? hint(file.file) : closed}</p>
      <textarea
        ref={area}
        aria-label={label}
        placeholder={texts.config.placeholder}
        rows={file ? 18 : 6}
        spellcheck={false}
        wrap="off"
        value={yaml}
        onInput={(event) => setYaml(event.currentTarget.value)}
      />
      <div class="bar">
        <button type="button" disabled={yaml.trim() === ''} onClick={() => void check()}>
          {checkText}
        </button>
        {file && (
          <button
            type="button"
            class="primary"
            disabled={!current?.valid || yaml === file.yaml}
            onClick={() => void apply()}
          >
            {applyText}
          </button>
        )}
        <span role="status" class="quiet">
          {current ? texts.config.verdict(current.valid, current.mistakes.length) : said}
        </span>
      </div>
      <Failure error={error} />
      {current && <Verdict result={current} onPlace={(line) => select(area.current, line)} />}
    </section>
  )
}

/** Shows a line of the text, counted from 1. */
function select(area: HTMLTextAreaElement | null, line: number): void {
  if (!area) return
  const lines = area.value.split('\n')
  const start = lines.slice(0, line - 1).reduce((n, text) => n + text.length + 1, 0)
  area.focus()
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0))
  area.scrollTop = (area.scrollHeight / lines.length) * Math.max(0, line - 4)
}

function Verdict({ result, onPlace }: { result: ConfigCheck; onPlace: (line: number) => void }) {
  const { mistakes, failedTests, apply, restart } = result
  const { atOnce, needsRestart, nothing } = texts.config
  return (
    <ul class="verdict">
      {mistakes.map(({ line, column, message }) => (
        <li key={`${line}:${column} ${message}`}>
          <button type="button" class="plain" onClick={() => onPlace(line)}>
            {line}:{column}
          </button>{' '}
          {message}
        </li>
      ))}
      {failedTests.map((text) => (
        <li key={text} class="warn">
          {text}
        </li>
      ))}
      {apply.length > 0 && (
        <li>
          {atOnce} <b>{apply.join(', ')}</b>
        </li>
      )}
      {restart.map(({ path, reason }) => (
        <li key={path}>
          {needsRestart} <b>{path}</b> <span class="quiet">{reason}</span>
        </li>
      ))}
      {result.valid && apply.length + restart.length === 0 && <li class="quiet">{nothing}</li>}
    </ul>
  )
}
