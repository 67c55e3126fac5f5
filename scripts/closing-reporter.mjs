// A reporter of node:test: how it went in one line, and what was skipped and why.

export default async function* closing(events) {
  const skipped = new Map()
  let passed = 0
  let failed = 0
  for await (const { type, data } of events) {
    const why = data?.skip
    if ((type !== 'test:pass' && type !== 'test:fail') || (data.details?.type === 'suite' && why === undefined))
      continue
    if (why !== undefined) skipped.set(why, [...(skipped.get(why) ?? []), data.name])
    else if (type === 'test:pass') passed++
    else failed++
  }
  const all = [...skipped.values()].flat().length
  yield `${passed} tests passed, ${failed} failed, ${all} skipped${all > 0 ? ':' : ''}\n`
  for (const [why, names] of skipped) yield `  ${names.length} × ${why === true ? names.join(', ') : why}\n`
}
