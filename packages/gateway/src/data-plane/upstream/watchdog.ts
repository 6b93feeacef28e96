/** Something with a deadline of its own. Called on every tick while it is watched. */
export type Watched = { onTick(nowMs: number): void }

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
 */
export class Watchdog {
  nowMs: number = performance.now()
  readonly silence: SilenceLimits
  private readonly watched = new Set<Watched>()
  private timer: NodeJS.Timeout | null = null

  constructor(silence: SilenceLimits = SILENCE) {
    this.silence = silence
  }

  add(one: Watched): void {
    this.watched.add(one)
    if (this.timer !== null) return
    this.nowMs = performance.now()
    this.timer = setInterval(this.tick, TICK_MS)
  }

  remove(one: Watched): void {
    this.watched.delete(one)
  }

  private readonly tick = (): void => {
    this.nowMs = performance.now()
    for (const one of this.watched) one.onTick(this.nowMs)
    if (this.watched.size > 0 || this.timer === null) return
    clearInterval(this.timer)
    this.timer = null
  }
}
