import * as z from 'zod'
import type { StorageConfig } from './gateway-config.ts'
import { parseDurationMs } from '../lib/duration.ts'
import { sizeValue } from './schema-parts.ts'
import { resolveSecret, Secret, secretReferenceProblem, type SecretSources } from './secret.ts'
import { parsedText, strict } from './validate.ts'

/** Elsewhere a duration of nothing makes no sense. */
const NO_WAIT = '0s'

/** The section once validated: a path of SQLite is not absolute yet, and null stands for the default one. */
export type ParsedStorage = Omit<StorageConfig, 'url'> & { readonly url: string | Secret | null }

export function storageSchema(sources: SecretSources): z.ZodType<ParsedStorage> {
  const shape = strict({
    url: urlSchema(sources).nullable().default(null),
    connections: z.int().min(2).max(100).default(10),
    wait: waitText.nullable().default('30s'),
    spool_max: sizeValue.default('256MiB'),
  })
  return z.preprocess((value) => value ?? {}, shape)
}

const waitText = parsedText((text) => (text === NO_WAIT ? 0 : parseDurationMs(text)))

function urlSchema(sources: SecretSources): z.ZodType<string | Secret> {
  return z
    .string()
    .describe('sqlite:PATH, postgres://…, or a secret reference to one: env:NAME or file:path.')
    .transform((written, ctx) => {
      const found = readUrl(written, sources)
      if (typeof found !== 'object' || found instanceof Secret) return found
      ctx.addIssue({ code: 'custom', message: found.problem })
      return z.NEVER
    })
}

type Found = string | Secret | { readonly problem: string }

function readUrl(written: string, sources: SecretSources): Found {
  if (!/^(env|file|vault|keychain|exec):/.test(written))
    return readPlain(written, hidePassword(written))
  const problem = secretReferenceProblem(written)
  if (problem !== null) return { problem }
  const value = resolveSecret(written, sources).reveal()
  return value === null ? { problem: `${written} is not there` } : readPlain(value, written)
}

/** `shown` is what may be printed: the reference, or the URL without its password. */
function readPlain(url: string, shown: string): Found {
  if (/^sqlite:.+/.test(url)) return url
  if (!/^postgres(ql)?:\/\//.test(url)) {
    return {
      problem: `"${shown}" is no storage: write sqlite:PATH, postgres://HOST/DATABASE or env:NAME`,
    }
  }
  if (!URL.canParse(url)) {
    return { problem: `"${shown}" is no URL: write postgres://USER:PASSWORD@HOST:PORT/DATABASE` }
  }
  return new Secret(shown, url)
}

/** A password ends at the last `@` before the host. */
function hidePassword(url: string): string {
  return url
    .replace(/^([^:]+:\/\/[^:@/?#]*):.*@/, '$1:***@')
    .replace(/([?&]password=)[^&]*/, '$1***')
}
