import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { api, type Session } from './api.ts'
import { connect } from './live.ts'
import { SessionContext } from './session.ts'
import { Shell } from './shell.tsx'
import { SignIn } from './sign-in.tsx'
import { texts } from './texts.ts'

const RETRY = 2000

function App() {
  const [session, setSession] = useState<Session>()
  const look = () => api.session().then(setSession, () => setTimeout(look, RETRY))
  useEffect(() => void look(), [])
  const inside = session?.signedIn === true
  useEffect(() => (inside ? connect(() => void look()) : undefined), [inside])
  if (session === undefined) return <p class="wait">{texts.loading}</p>
  if (!inside) return <SignIn onSignedIn={look} />
  const leave = session.needed ? () => void api.signOut().then(() => location.reload()) : undefined
  return (
    <SessionContext.Provider value={session}>
      <Shell onLeave={leave} />
    </SessionContext.Provider>
  )
}

const root = document.getElementById('app')
if (root) render(<App />, root)
