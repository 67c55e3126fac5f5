interface SparkParts {
  readonly values: readonly number[]
  readonly fromZero?: boolean
  readonly tone?: '' | 'warn'
}

/** A small line without axes; the numbers stand beside it. */
export function Sparkline({ values, fromZero = false, tone = '' }: SparkParts) {
  const path = values.length > 1 ? line(values, fromZero) : ''
  return (
    <svg class={`spark ${tone}`} viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
      {path !== '' && fromZero && <path class="area" d={`${path}L100 24L0 24Z`} />}
      {path !== '' && <path d={path} />}
    </svg>
  )
}

function line(values: readonly number[], fromZero: boolean): string {
  let low = fromZero ? 0 : Infinity
  let high = fromZero ? 1e-9 : -Infinity
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  const height = high - low || 1
  const flat = high === low
  let path = ''
  for (let i = 0; i < values.length; i++) {
    const x = ((i * 100) / (values.length - 1)).toFixed(1)
    const y = flat ? 12 : 23 - (((values[i] ?? low) - low) * 20) / height
    path += `${i === 0 ? 'M' : 'L'}${x} ${y.toFixed(1)}`
  }
  return path
}
