import type { GatewayConfig } from './config/gateway-config.ts'
import { redisUrlOf } from './config/limits-backend.ts'
import type { AnswerStore } from './contracts/answer-store.ts'
import { parseDurationMs } from './lib/duration.ts'

/** Answers are larger than counters: they may take longer than `limits.timeout`. */
const TIMEOUT_MS = 2000
const FIRST_CONNECTION_MS = 1500
const FIRST_LOOK_MS = 10

export type ComposedAnswers = {
  readonly store: AnswerStore
  readonly stop: () => Promise<void>
}

/** Where answers under idempotency keys are kept: in Redis when limits are counted there, else in the store. */
export async function composeAnswers(
  { limits }: GatewayConfig,
  own: AnswerStore,
): Promise<ComposedAnswers> {
  const url = redisUrlOf(limits.backend)
  if (url === null) return { store: own, stop: async () => {} }
  // Its client takes time to load, and most start without it.
  const [{ createRedisServer }, { ANSWERS_SCRIPT, redisAnswers }] = await Promise.all([
    import('./storage/redis/redis-server.ts'),
    import('./storage/redis/answer-store.ts'),
  ])
  const timeoutMs = Math.max(TIMEOUT_MS, parseDurationMs(limits.timeout))
  const server = createRedisServer({ url, script: ANSWERS_SCRIPT, timeoutMs })
  const answers = redisAnswers(server, limits.namespace)
  answers.start()
  const untilMs = performance.now() + FIRST_CONNECTION_MS
  while (!answers.connected() && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, FIRST_LOOK_MS))
  }
  return { store: answers.store, stop: () => answers.stop() }
}
