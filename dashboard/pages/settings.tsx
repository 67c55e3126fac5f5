import { texts } from '../app/texts.ts'

export function Settings() {
  return <h1>{texts.pages.settings}</h1>
}
