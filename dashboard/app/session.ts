/** Who looks at the page, and what they may do. */
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Session } from './api.ts'

export const SessionContext = createContext<Session>({ needed: false, signedIn: false })

/** Whether who looks may also act. */
export function useOperator(): boolean {
  const { role } = useContext(SessionContext)
  return role !== 'viewer'
}
