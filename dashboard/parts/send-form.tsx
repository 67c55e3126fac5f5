/** Any command to any device. */
import { useState } from 'preact/hooks'
import { api } from '../app/api.ts'
import { changed, useNews } from '../app/live.ts'
import { takeCommand } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { Failure } from './table.tsx'

export function SendForm() {
  const state = useNews()
  const [error, setError] = useState<string>()
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget as HTMLFormElement)
    const text = String(data.get('args')).trim()
    try {
      const args = text === '' ? {} : { args: parse(text) }
      const order = { device: String(data.get('device')), command: String(data.get('command')), ...args }
      takeCommand(state, await api.send(order))
      setError(undefined)
      changed()
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason))
    }
  }
  const { title, device, command, args, send } = texts.control
  return (
    <section class="card">
      <h2>{title}</h2>
      <form class="fields" onSubmit={submit}>
        <label>
          {device}
          <input name="device" required />
        </label>
        <label>
          {command}
          <input name="command" required />
        </label>
        <label>
          {args}
          <input name="args" placeholder={'{"on": true}'} />
        </label>
        <button type="submit">{send}</button>
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
