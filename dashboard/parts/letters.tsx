import type { DeadLetterPage } from '../app/api.ts'
import { bytes } from '../app/format.ts'
import { texts } from '../app/texts.ts'
import { Table } from './table.tsx'
import { When } from './when.tsx'

/** Dead letters with their payload. */
export function Letters({ letters, none }: { letters: DeadLetterPage['last']; none: string }) {
  if (letters.length === 0) return <p class="quiet">{none}</p>
  const { when, reason, topic, payload, size } = texts.quality
  return (
    <Table label={texts.quality.letters} heads={[when, reason, topic, payload, `#${size}`]}>
      {letters.map((letter) => (
        <tr key={`${letter.time} ${letter.topic} ${letter.payload}`}>
          <td>
            <When at={letter.time} />
          </td>
          <td>
            <span class="tag warn">{letter.reason}</span> <span class="quiet">{letter.message}</span>
          </td>
          <td>{letter.topic}</td>
          <td class="wide">
            <code>{letter.payload}</code>
          </td>
          <td class="number">{bytes(letter.size)}</td>
        </tr>
      ))}
    </Table>
  )
}
