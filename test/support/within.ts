/** Waiting with a bound, for what another process does. */

/** Resolves with the first answer that is true or a thing; asked every 20 ms. @throws after `ms` */
export async function eventually<Answer>(
  what: string,
  ask: () => Answer | Promise<Answer>,
  ms = 20_000,
): Promise<NonNullable<Answer>> {
  const end = performance.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
