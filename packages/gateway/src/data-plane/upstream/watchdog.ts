/** Something with a deadline of its own. Called on every tick while it is watched. */
export type Watched = { onTick(nowMs: number): void }

const TICK_MS = 50

/**
 * One timer for all calls in flight, instead of several per call.
 *
 * `nowMs` is the time of the last tick: precise enough for timeouts, and free to read on every chunk.
 */
export class Watchdog {
  nowMs: number = performance.now()
  private readonly watched = new Set<Watched>()
  private timer: NodeJS.Timeout | null = null

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
