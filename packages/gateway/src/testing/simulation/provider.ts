import type { World } from './world.ts'

export type SimCall = {
  readonly requestId: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly stream: boolean
}

/** What a gateway hears of its call. */
export type SimAnswer = {
  onToken(): void
  /** The whole answer, with the usage. May come twice. */
  onDone(outputTokens: number): void
  /** Nothing was accepted. */
  onRefused(): void
  /** The connection ended before the answer did. */
  onCut(): void
}

/** Tokens that are on the way when somebody says stop. */
const DELAY_MS = 30

/** A provider that obeys its output cap, behind a network that loses and repeats. It keeps the bill. */
export class SimProvider {
  readonly bill: Map<string, number> = new Map()
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Returns how to end the call early. */
  call(call: SimCall, answer: SimAnswer): () => void {
    const world = this.#world
    const state = { stopped: false }
    world.after(world.below(DELAY_MS), () => {
      if (world.chance(0.06)) {
        answer.onRefused()
        return
      }
      this.bill.set(call.requestId, call.inputTokens)
      const wanted = world.below(call.outputTokens + 1)
      const cutAt = world.chance(0.07) ? world.below(wanted + 1) : -1
      this.#write(call, { answer, wanted, cutAt, written: 0, state })
    })
    return () => {
      state.stopped = true
    }
  }

  #write(call: SimCall, work: Writing): void {
    const world = this.#world
    if (work.state.stopped) return
    if (work.cutAt === work.written) {
      work.answer.onCut()
      return
    }
    if (work.written === work.wanted) {
      world.after(world.below(DELAY_MS), () => work.answer.onDone(work.wanted))
      if (world.chance(0.1)) {
        world.after(world.below(5 * DELAY_MS), () => work.answer.onDone(work.wanted))
      }
      return
    }
    work.written += 1
    this.bill.set(call.requestId, (this.bill.get(call.requestId) ?? 0) + 1)
    if (call.stream) work.answer.onToken()
    world.after(1 + world.below(40), () => this.#write(call, work))
  }
}

type Writing = {
  readonly answer: SimAnswer
  readonly wanted: number
  readonly cutAt: number
  written: number
  readonly state: { readonly stopped: boolean }
}
