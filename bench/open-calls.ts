import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OpenCall } from '../packages/gateway/src/contracts/open-calls.ts'
import { openCallJournal } from '../packages/gateway/src/storage/open-calls/open-call-journal.ts'

/** The note of an open call: µs per call with `process`, calls/s and ms with `full`. `node bench/open-calls.ts` */
const ROUNDS = 7
const CALLS = 20_000
const SYNCED = 2000
const AT_ONCE = 64

const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
try {
  for (const limits of [1, 3, 6]) benchNotes(limits)
  await benchSynced()
} finally {
  rmSync(folder, { recursive: true })
}

function open(sync: boolean): ReturnType<typeof openCallJournal> {
  return openCallJournal({ path: join(folder, 'open-calls.journal'), sync, onProblem: console.log })
}

function benchNotes(limits: number): void {
  const journal = open(false)
  const under: OpenCall[] = Array.from({ length: AT_ONCE }, (_, i) => callOf(`open-${i}`, limits))
  for (const call of under) void journal.note(call)
  let bestUs = Infinity
  const calls = Array.from({ length: CALLS }, (_, i) => callOf(`req_${i}`, limits))
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now()
    for (const call of calls) {
      void journal.note(call)
      journal.done(call.requestId)
    }
    bestUs = Math.min(bestUs, ((performance.now() - startedMs) * 1000) / CALLS)
  }
  journal.close()
  console.log(`note and done, ${limits} durable limits`.padEnd(36), `${bestUs.toFixed(2)} µs`)
}

async function benchSynced(): Promise<void> {
  const journal = open(true)
  const waits: number[] = []
  let next = 0
  const client = async (): Promise<void> => {
    while (next < SYNCED) {
      const call = callOf(`sync_${next++}`, 3)
      const startedMs = performance.now()
      await journal.note(call)
      waits.push(performance.now() - startedMs)
      journal.done(call.requestId)
    }
  }
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: AT_ONCE }, client))
  const perSec = (SYNCED / (performance.now() - startedMs)) * 1000
  waits.sort((a, b) => a - b)
  const [p50, p99] = [0.5, 0.99].map((part) => waits[Math.floor(waits.length * part)] ?? 0)
  journal.close()
  console.log(
    `with fsync, ${AT_ONCE} at once`.padEnd(36),
    `${Math.round(perSec)} calls/s, p50 ${p50?.toFixed(2)} ms, p99 ${p99?.toFixed(2)} ms`,
  )
}

function callOf(requestId: string, limits: number): OpenCall {
  return {
    requestId,
    startedAtMs: Date.now(),
    keyId: 'key_01h2xcejqtf2nbrexx3vqjhp41',
    endpoint: 'chat',
    protocol: 'openai-chat',
    stream: true,
    requestedModel: 'gpt-4o-mini',
    model: 'gpt-4o-mini',
    provider: 'openai',
    target: 'openai/gpt-4o-mini',
    inputTokens: 1200,
    outputTokens: 4096,
    costNanoUsd: 2_637_600,
    charges: Array.from({ length: limits }, (_, i) => ({
      counter: `limit-${i}|key|key_01h2xcejqtf2nbrexx3vqjhp41`,
      amount: 5296,
      at: 1_750_000_000_000,
      era: 1_750_000_000_000,
      id: `limit-${i}`,
      scope: 'key',
      value: 'key_01h2xcejqtf2nbrexx3vqjhp41',
      unit: 'tokens',
      algorithm: {
        kind: 'fixed',
        amount: 1_000_000,
        window: { kind: 'duration', ms: 86_400_000, text: '24h' },
        align: 'clock',
      },
    })),
  }
}
