/** Something with a deadline of its own. Called on every tick while it is watched. */
export type Watched = {
  onTick(nowMs: number): void
  /** Where the watchdog keeps it, and only the watchdog writes it. `UNWATCHED` at first. */
  watchedAt: number
}

/** Nowhere. */
export const UNWATCHED = -1

const TICK_MS = 50

/** How long the client's side of an answer may be silent. Milliseconds. */
export type SilenceLimits = {
  /** A gap in a stream of this length gets a keep-alive frame: below the idle limits of common proxies. */
  readonly keepAliveMs: number
  /** A client that takes nothing for this long is cut. */
  readonly stalledReaderMs: number
}

const SILENCE: SilenceLimits = { keepAliveMs: 15_000, stalledReaderMs: 60_000 }

/**
 * One timer for all calls in flight, instead of several per call.
 *
 * `nowMs` is the time of the last tick: precise enough for timeouts, and free to read on every chunk.
 *
 * Kept in an array, not a `Set`: a set that is added to and deleted from makes a new table again and again, and each old
 * one that has aged keeps the next one, and with it finished requests, until a full collection. Hot: four times a request.
 */
export class Watchdog {
  nowMs: number = performance.now()
  readonly silence: SilenceLimits
  private readonly watched: Watched[] = []
  private timer: NodeJS.Timeout | null = null

  constructor(silence: SilenceLimits = SILENCE) {
    this.silence = silence
  }

  add(one: Watched): void {
    one.watchedAt = this.watched.push(one) - 1
    if (this.timer !== null) return
    this.nowMs = performance.now()
    this.timer = setInterval(this.tick, TICK_MS)
  }

  remove(one: Watched): void {
    const at = one.watchedAt
    if (at === UNWATCHED) return
    one.watchedAt = UNWATCHED
    const last = this.watched.pop()
    if (last === undefined || last === one) return
    this.watched[at] = last
    last.watchedAt = at
  }

  private readonly tick = (): void => {
    this.nowMs = performance.now()
    // From the end: who is removed meanwhile is replaced by one that has had its turn.
    for (let i = this.watched.length - 1; i >= 0; i--) this.watched[i]?.onTick(this.nowMs)
    if (this.watched.length > 0 || this.timer === null) return
    clearInterval(this.timer)
    this.timer = null
  }
}
