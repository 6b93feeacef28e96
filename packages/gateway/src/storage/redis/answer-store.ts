import { readFileSync } from 'node:fs'
import type { AnswerStore, Claim, ClaimedCall } from '../../contracts/answer-store.ts'
import {
  type ScriptConnection,
  type ScriptServer,
  type ScriptValue,
  ServerAway,
} from '../../contracts/script-server.ts'
import { answerHead, readAnswer } from '../kept-answer.ts'

export const ANSWERS_SCRIPT: string = readFileSync(
  new URL('./answers.lua', import.meta.url),
  'utf8',
)

/** A gateway that ended with a claim keeps others waiting for so long. */
const LEASE_MS = 10_000
/** Stands for a body that was too large to be kept; no base64 begins like it. */
const NO_BODY = '-'

export type RedisAnswers = {
  readonly store: AnswerStore
  /** Connects; a server that is away is no error. */
  start(): void
  stop(): Promise<void>
  connected(): boolean
}

/**
 * Answers and claims for all gateways of one Redis and namespace. All keys have the same hash tag, as those of limits.
 *
 * Calls reject with `ServerAway` while the server does not answer.
 */
export function redisAnswers(server: ScriptServer, namespace: string): RedisAnswers {
  let connection: ScriptConnection | null = null
  const prefix = `{${namespace}}:answer:`
  const index = ['ends', 'sizes', 'bytes'].map((name) => `{${namespace}}:answers:${name}`)

  async function run(
    operation: string,
    { id, fingerprint, owner }: ClaimedCall,
    more: readonly string[] = [],
  ): Promise<ScriptValue> {
    if (connection === null) throw new ServerAway('is away')
    const args = [operation, id, fingerprint, owner, String(LEASE_MS), ...more]
    return await connection.run([prefix + id, ...index], args)
  }

  const store: AnswerStore = {
    leaseMs: LEASE_MS,
    claim: async (call) => readClaim(await run('claim', call)),
    renew: async (call) => (await run('renew', call)) === 1,
    async keep(call, answer, { ttlMs, maxBytes, maxEntries }) {
      const body = answer.body === null ? NO_BODY : answer.body.toString('base64')
      const terms = [ttlMs, maxBytes, maxEntries].map(String)
      return (await run('keep', call, [answerHead(answer), body, ...terms, prefix])) === 1
    },
    release: async (call) => void (await run('release', call)),
    // What is out of date in a server that is away is dropped when it is back.
    prune: async () =>
      connection === null ? 0 : Number(await run('prune', { id: '', fingerprint: '', owner: '' })),
  }
  return {
    store,
    start: () =>
      server.start({
        onConnect: async (made) => void (connection = made),
        onLost: () => (connection = null),
        // The limits' own connection tells the operator.
        onWarning: () => {},
      }),
    stop: () => server.stop(),
    connected: () => connection !== null,
  }
}

function readClaim(value: ScriptValue): Claim {
  const [kind, head, body] = Array.isArray(value) ? value : []
  if (kind === 'claimed' || kind === 'running' || kind === 'other') return { kind }
  if (typeof head !== 'string' || typeof body !== 'string') {
    throw new TypeError('The script answered something else than a claim.')
  }
  const bytes = body === NO_BODY ? null : Buffer.from(body, 'base64')
  return { kind: 'kept', answer: readAnswer(head, bytes) }
}
