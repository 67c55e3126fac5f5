import { useContext, useState } from 'preact/hooks'
import { api, type Status } from '../app/api.ts'
import { useLoaded } from '../app/load.ts'
import { SessionContext } from '../app/session.ts'
import { texts } from '../app/texts.ts'

const READING = `'{"temperature": 21.5}'`
const RARELY = 60_000

/** What to do on a fresh gateway: three commands, each of which sends a reading, filled in with its own address. */
export function FirstReading({ status }: { status: Status | undefined }) {
  const { needed } = useContext(SessionContext)
  const { data: config } = useLoaded(api.config, RARELY)
  const host = location.hostname
  const port = status?.ports.mqtt
  const { mqtt } = (config?.values ?? {}) as { mqtt?: { passwordFile?: string } }
  const login = mqtt?.passwordFile === undefined ? '' : ' -u USER -P PASSWORD'
  const bearer = needed ? ` -H 'Authorization: Bearer TOKEN'` : ''
  const overMqtt = `-h ${host} -p ${port}${login} -q 1 -t telemetry/my-sensor -m ${READING}`
  const { title, hint, fill, mqtt: byMqtt, node, http } = texts.empty
  const commands = [
    ...(port === undefined
      ? []
      : [
          [byMqtt, `mosquitto_pub ${overMqtt}`],
          [node, `npx --yes mqtt pub ${overMqtt}`],
        ]),
    [http, `curl${bearer} -d ${READING} ${location.origin}/api/telemetry/my-sensor`],
  ] as const
  return (
    <section class="card first" aria-labelledby="first">
      <h2 id="first">{title}</h2>
      <p class="quiet">
        {hint} {login || bearer ? fill : ''}
      </p>
      <dl>
        {commands.map(([label = '', command = '']) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>
              <code>{command}</code>
              <Copy text={command} label={label} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false)
  // Only pages that were sent safely, or by this machine, may write to the clipboard.
  if (!navigator.clipboard) return null
  const copy = () => void navigator.clipboard.writeText(text).then(() => setDone(true))
  return (
    <button type="button" aria-label={`${texts.empty.copy}: ${label}`} onClick={copy}>
      {done ? texts.empty.copied : texts.empty.copy}
    </button>
  )
}
