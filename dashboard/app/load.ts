import { useCallback, useEffect, useState } from 'preact/hooks'

export interface Loading<T> {
  readonly data: T | undefined
  readonly error: string | undefined
  reload(): void
}

/** Asks now and every `every` ms; keeps what it had when asking fails. */
export function useLoaded<T>(ask: () => Promise<T>, every: number, key = ''): Loading<T> {
  const [data, setData] = useState<T>()
  const [error, setError] = useState<string>()
  const reload = useCallback(() => {
    ask().then(
      (answer) => {
        setData(answer)
        setError(undefined)
      },
      (reason: Error) => setError(reason.message),
    )
  }, [key])
  useEffect(() => {
    reload()
    const timer = setInterval(reload, every)
    return () => clearInterval(timer)
  }, [reload, every])
  return { data, error, reload }
}
