import { texts } from '../app/texts.ts'

export function Alerts() {
  return <h1>{texts.pages.alerts}</h1>
}
