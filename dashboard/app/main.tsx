import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { api } from './api.ts'
import { connect } from './live.ts'
import { Shell } from './shell.tsx'
import { SignIn } from './sign-in.tsx'
import { texts } from './texts.ts'

type Access = 'unknown' | 'needed' | 'open' | 'signed in'

function App() {
  const [access, setAccess] = useState<Access>('unknown')
  const look = () =>
    api.session().then(
      ({ needed, signedIn }) => setAccess(signedIn ? (needed ? 'signed in' : 'open') : 'needed'),
      () => setTimeout(look, 2000),
    )
  useEffect(() => void look(), [])
  const inside = access === 'open' || access === 'signed in'
  useEffect(() => (inside ? connect(() => setAccess('needed')) : undefined), [inside])
  if (access === 'unknown') return <p class="wait">{texts.loading}</p>
  if (access === 'needed') return <SignIn onSignedIn={look} />
  const leave = access === 'signed in' ? () => void api.signOut().then(() => location.reload()) : undefined
  return <Shell onLeave={leave} />
}

const root = document.getElementById('app')
if (root) render(<App />, root)
