import { useState } from 'preact/hooks'
import { api } from '../app/api.ts'
import { changed, useNews } from '../app/live.ts'
import { type DeviceRow, takeCommand } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { CommandTable } from '../parts/command-table.tsx'
import { Controls, declared } from '../parts/controls.tsx'
import { Empty, Failure } from '../parts/table.tsx'

export function Control() {
  const { devices, commands } = useNews()
  const rooms = roomsOf([...devices.values()].filter((row) => declared(row).length > 0))
  return (
    <>
      <h1>{texts.pages.control}</h1>
      {rooms.length === 0 && (
        <section class="card">
          <Empty title={texts.control.noneTitle} hint={texts.control.hint} />
        </section>
      )}
      {rooms.map(([room, rows]) => (
        <section key={room}>
          <h2>{room}</h2>
          <div class="room">
            {rows.map((row) => (
              <div key={row.id} class="card">
                <h3>
                  <a href={`#/devices/${encodeURIComponent(row.id)}`}>{row.name ?? row.id}</a>
                </h3>
                <Controls device={row} />
              </div>
            ))}
          </div>
        </section>
      ))}
      <SendForm />
      {commands.size > 0 && (
        <section class="card">
          <h2>{texts.control.history}</h2>
          <CommandTable commands={[...commands.values()]} />
        </section>
      )}
    </>
  )
}

function roomsOf(rows: readonly DeviceRow[]): [string, DeviceRow[]][] {
  const rooms = new Map<string, DeviceRow[]>()
  for (const row of rows) {
    const room = row.room ?? texts.control.elsewhere
    rooms.set(room, [...(rooms.get(room) ?? []), row])
  }
  return [...rooms].sort(([a], [b]) => a.localeCompare(b))
}

/** Any command to any device. */
function SendForm() {
  const state = useNews()
  const [error, setError] = useState<string>()
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget as HTMLFormElement)
    const text = String(data.get('args')).trim()
    try {
      const args = text === '' ? {} : { args: parse(text) }
      takeCommand(
        state,
        await api.send({ device: String(data.get('device')), command: String(data.get('command')), ...args }),
      )
      setError(undefined)
      changed()
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason))
    }
  }
  return (
    <section class="card">
      <h2>{texts.control.title}</h2>
      <form class="arguments" onSubmit={submit}>
        <label>
          {texts.control.device}
          <input name="device" required />
        </label>
        <label>
          {texts.control.command}
          <input name="command" required />
        </label>
        <label>
          {texts.control.args}
          <input name="args" />
        </label>
        <button type="submit">{texts.control.send}</button>
      </form>
      <Failure error={error} />
    </section>
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(texts.control.badArgs)
  }
}
