import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 10
const PATIENCE_MS = 20_000

/** Asks until the answer is neither null nor false. A deadline ends it with an error that says what was waited for. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | null | false> | T | null | false,
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const answer = await probe()
    if (answer !== null && answer !== false) return answer
    if (Date.now() > deadline) throw new Error(`waited ${patienceMs} ms for ${what}`)
    await sleep(POLL_MS)
  }
}
