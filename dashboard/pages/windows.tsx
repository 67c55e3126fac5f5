import { texts } from '../app/texts.ts'

export function Windows() {
  return <h1>{texts.pages.windows}</h1>
}
