import { state } from '../app/live.ts'

/** What a result or an alert is for; a device goes by its name. */
export function keyText(key: Readonly<Record<string, string>>): string {
  return Object.entries(key)
    .map(([part, text]) => (part === 'device' ? (state.devices.get(text)?.name ?? text) : text))
    .join(' · ')
}
