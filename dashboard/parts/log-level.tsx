import { api, type LogLevel } from '../app/api.ts'
import { useLoaded } from '../app/load.ts'
import { useOperator } from '../app/session.ts'
import { texts } from '../app/texts.ts'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
const RARELY = 30_000

/** How much is logged, until the next reload or restart. */
export function LogLevelChoice() {
  const operator = useOperator()
  const { data, reload } = useLoaded(api.logLevel, RARELY)
  const set = (level: LogLevel) => void api.setLogLevel(level).then(reload, reload)
  const { logLevel, logLevelHint } = texts.settings
  return (
    <section class="card">
      <div class="head">
        <h2>{logLevel}</h2>
        <fieldset class="group" aria-label={logLevel}>
          {LEVELS.map((level) => (
            <button
              key={level}
              type="button"
              aria-pressed={level === data?.level}
              disabled={!operator}
              onClick={() => set(level)}
            >
              {level}
            </button>
          ))}
        </fieldset>
        <span class="quiet">{logLevelHint}</span>
      </div>
    </section>
  )
}
