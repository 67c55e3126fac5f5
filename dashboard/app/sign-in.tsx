import { useState } from 'preact/hooks'
import { ApiError, api } from './api.ts'
import { texts } from './texts.ts'

export function SignIn({ onSignedIn }: { onSignedIn: () => void }) {
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const token = String(new FormData(event.currentTarget as HTMLFormElement).get('token'))
    setBusy(true)
    try {
      await api.signIn(token.trim())
      onSignedIn()
    } catch (reason) {
      setError(explain(reason))
    }
    setBusy(false)
  }
  return (
    <main class="sign-in">
      <form class="card" onSubmit={submit}>
        <h1>
          <Mark /> {texts.product}
        </h1>
        <p class="quiet">{texts.signIn.hint}</p>
        <label for="token">{texts.signIn.token}</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus />
        <p class="bad" role="alert">
          {error}
        </p>
        <button class="primary" type="submit" disabled={busy}>
          {texts.signIn.button}
        </button>
      </form>
    </main>
  )
}

function explain(reason: unknown): string {
  if (!(reason instanceof ApiError)) return texts.failed(String(reason))
  if (reason.status === 429) return texts.signIn.wait(reason.retryAfter ?? '?')
  return reason.status === 401 ? texts.signIn.wrong : texts.failed(reason.message)
}

/** A gate with water behind it. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 16 16" width="22" height="22" aria-hidden="true">
      <path d="M2.5 2v12M13.5 2v12M2.5 4.5h11" />
      <path class="water" d="M4.5 8q1.75-1.5 3.5 0t3.5 0M4.5 11.5q1.75-1.5 3.5 0t3.5 0" />
    </svg>
  )
}
