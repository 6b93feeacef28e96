import * as z from 'zod'
import { resolveSecret, Secret, type SecretSources, secretReferenceProblem } from './secret.ts'

/** `memory` or the address of a Redis server; behind a secret reference when it holds a password. */
export type LimitsBackend = string | Secret

const REFERENCE = /^(env|file|vault|keychain|exec):/

/** The address of the Redis server; null: there is none. */
export function redisUrlOf(backend: LimitsBackend): string | null {
  if (backend instanceof Secret) return backend.reveal()
  return backend === 'memory' ? null : backend
}

/** Where limits are counted. */
export function limitsBackendSchema(sources: SecretSources): z.ZodType<LimitsBackend> {
  return z
    .string()
    .default('memory')
    .transform((text, ctx) => {
      const backend = REFERENCE.test(text) ? referenced(text, sources) : written(text)
      if (typeof backend !== 'object' || backend instanceof Secret) return backend
      const secret = /^rediss?:\/\/[^/]*@/.test(text)
      ctx.addIssue({ code: 'custom', message: backend.problem, params: { secret } })
      return z.NEVER
    })
    .describe('memory, redis://HOST:PORT, rediss://HOST:PORT, or a secret reference to one.')
}

type Problem = { readonly problem: string }

function referenced(reference: string, sources: SecretSources): Secret | Problem {
  const malformed = secretReferenceProblem(reference)
  if (malformed !== null) return { problem: malformed }
  const secret = resolveSecret(reference, sources)
  const url = secret.reveal()
  if (url === null) return { problem: `${reference} is missing` }
  return isRedisUrl(url) ? secret : { problem: `${reference} holds no address: redis://HOST:PORT` }
}

function written(text: string): string | Problem {
  if (text === 'memory') return text
  if (!isRedisUrl(text)) {
    return { problem: `"${text}" is no backend: write memory or redis://HOST:PORT` }
  }
  const { username, password } = new URL(text)
  if (username === '' && password === '') return text
  return {
    problem: 'must hold no user or password: write env:NAME or file:PATH, and the address there',
  }
}

function isRedisUrl(text: string): boolean {
  if (!/^rediss?:\/\//.test(text) || !URL.canParse(text)) return false
  const { hostname, pathname } = new URL(text)
  return hostname !== '' && /^\/?\d*$/.test(pathname)
}
