import { texts } from '../app/texts.ts'

export function Quality() {
  return <h1>{texts.pages.quality}</h1>
}
