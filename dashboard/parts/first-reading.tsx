import { useState } from 'preact/hooks'
import type { Status } from '../app/api.ts'
import { texts } from '../app/texts.ts'

/** What to do on a fresh gateway: three commands, filled in with its own address. */
export function FirstReading({ status }: { status: Status | undefined }) {
  const host = location.hostname
  const mqtt = status?.ports.mqtt ?? 1883
  const commands = [
    [texts.empty.mqtt, `mosquitto_pub -h ${host} -p ${mqtt} -q 1 -t telemetry/my-sensor -m '{"temperature": 21.5}'`],
    [texts.empty.http, `curl -d '{"temperature": 21.5}' ${location.origin}/api/telemetry/my-sensor`],
    [texts.empty.cli, `sluice tail 'my-*'${status ? ` --data ${status.data}` : ''}`],
  ] as const
  return (
    <section class="card first" aria-labelledby="first">
      <h2 id="first">{texts.empty.title}</h2>
      <p class="quiet">{texts.empty.hint}</p>
      <dl>
        {commands.map(([label, command]) => (
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
