import { distance } from 'fastest-levenshtein'

/** The known name that was probably meant, or undefined. Case and separators do not count. */
export function nearest(written: string, known: readonly string[]): string | undefined {
  const plain = plainName(written)
  const same = known.find((name) => plainName(name) === plain)
  if (same !== undefined) return same
  let best: string | undefined
  // Two letters swapped are two steps; short names would be close to everything.
  let least = (plain.length <= 4 ? 1 : plain.length <= 8 ? 2 : 3) + 1
  for (const name of known) {
    const steps = distance(plain, plainName(name))
    if (steps < least) {
      least = steps
      best = name
    }
  }
  return (
    best ??
    known.find((name) => plain.length > 2 && (plainName(name).startsWith(plain) || plain.startsWith(plainName(name))))
  )
}

/** `, did you mean \`x\`?`, or what there is. */
export function suggestion(written: string, known: readonly string[]): string {
  const meant = nearest(written, known)
  if (meant !== undefined) return `, did you mean \`${meant}\`?`
  if (known.length === 0) return ''
  if (known.length > 12) return ''
  return `: known here ${known.length === 1 ? 'is' : 'are'} ${known.map((name) => `\`${name}\``).join(', ')}`
}

/** Lower case without separators, so that PER_DEVICE, per-device and perDevice are one. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[-_.\s]/g, '')
}
