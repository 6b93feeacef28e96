/** How long providers keep a prompt that was used, at the least that is promised. */
const KEPT_MS = 5 * 60_000
/** Conversations: their names come from clients. */
const MOST_SESSIONS = 20_000

/** The target that holds the beginning of a conversation in its prompt cache. */
export type WarmCache = { readonly target: string; readonly tokens: number }

type Noted = WarmCache & { readonly atMs: number }

/** Which target has a conversation's prompt in its cache. Another one would have to read all of it at full price. */
export class WarmCaches {
  readonly #bySession = new Map<string, Noted>()

  note(session: string, { target, tokens }: WarmCache, nowMs: number): void {
    this.#bySession.delete(session)
    if (tokens <= 0) return
    if (this.#bySession.size >= MOST_SESSIONS) {
      this.#bySession.delete(this.#bySession.keys().next().value ?? '')
    }
    this.#bySession.set(session, { target, tokens, atMs: nowMs })
  }

  of(session: string, nowMs: number): WarmCache | null {
    const noted = this.#bySession.get(session)
    return noted === undefined || nowMs - noted.atMs > KEPT_MS ? null : noted
  }
}
