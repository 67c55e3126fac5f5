import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Loading<T> {
  readonly data: T | undefined
  readonly error: string | undefined
  reload(): void
}

/** Asks now, when `key` changes, and every `every` ms while somebody looks; keeps what it had when asking fails. */
export function useLoaded<T>(ask: () => Promise<T>, every: number, key = ''): Loading<T> {
  const [data, setData] = useState<T>()
  const [error, setError] = useState<string>()
  const wanted = useRef(key)
  wanted.current = key
  const reload = useCallback(() => {
    // An answer that comes late must not stand for another question.
    const still = () => wanted.current === key
    ask().then(
      (answer) => {
        if (!still()) return
        setData(answer)
        setError(undefined)
      },
      (reason: Error) => still() && setError(reason.message),
    )
  }, [key])
  useEffect(() => {
    reload()
    const timer = setInterval(() => document.hidden || reload(), every)
    return () => clearInterval(timer)
  }, [reload, every])
  return { data, error, reload }
}
