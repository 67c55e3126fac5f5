import { texts } from '../app/texts.ts'

export function Outbox() {
  return <h1>{texts.pages.outbox}</h1>
}
