import * as z from 'zod'
import { LIMIT_SCOPES, LIMIT_UNITS } from '../contracts/limit.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import {
  algorithmOf,
  isForListedOnly,
  limitOfValue,
  OUTPUT_UNITS,
  refillOf,
  unitOf,
} from './limit-shorthands.ts'
import type { LimitConfig } from './policy-config.ts'
import { compileNames, namePatternProblem } from './name-matcher.ts'
import { KNOWN_ENDPOINTS, nameList, printableText, usdAmount, windowText } from './schema-parts.ts'
import { checkedText, strict } from './validate.ts'

const ALGORITHMS = ['bucket', 'sliding', 'fixed', 'lifetime', 'concurrent'] as const
type Algorithm = (typeof ALGORITHMS)[number]
type AlgorithmField = 'amount' | 'window' | 'align' | 'capacity' | 'refill_per_sec'

/** Which fields each algorithm needs and which others it takes; any other of these fields is an error. */
const FIELDS: Readonly<
  Record<
    Algorithm,
    { readonly needs: readonly AlgorithmField[]; readonly takes: readonly AlgorithmField[] }
  >
> = {
  bucket: { needs: ['capacity', 'refill_per_sec'], takes: [] },
  sliding: { needs: ['amount', 'window'], takes: [] },
  fixed: { needs: ['amount', 'window'], takes: ['align'] },
  lifetime: { needs: ['amount'], takes: [] },
  concurrent: { needs: ['amount'], takes: [] },
}
const ALGORITHM_FIELDS: readonly AlgorithmField[] = [
  'amount',
  'window',
  'align',
  'capacity',
  'refill_per_sec',
]

const scopeText = checkedText((scope) => {
  if (/^tag:[A-Za-z0-9_.-]{1,64}$/.test(scope)) return null
  if (LIMIT_SCOPES.some((known) => known === scope)) return null
  return `unknown scope "${scope}"${didYouMean(scope, [...LIMIT_SCOPES, 'tag:NAME'])}`
})

const amounts = {
  amount: z.exactOptional(z.number().min(0)),
  capacity: z.exactOptional(z.number().min(0)),
  refill_per_sec: z.exactOptional(z.number().min(0).max(1e12)),
  refillPerSec: z.exactOptional(z.number().min(0).max(1e12)),
}

/** One limit. See docs/guides/limits.md. */
export const limitSchema: z.ZodType<LimitConfig> = strict({
  id: z.exactOptional(
    checkedText((id) =>
      /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/.test(id)
        ? null
        : `"${id}" is no limit id: letters, digits, ".", "_", ":" and "-", at most 100`,
    ),
  ),
  scope: scopeText,
  unit: z.exactOptional(z.enum(LIMIT_UNITS)),
  algorithm: z.exactOptional(z.enum(ALGORITHMS)),
  ...amounts,
  window: z.exactOptional(windowText),
  align: z.exactOptional(z.enum(['clock', 'first_use'])),
  values: z.exactOptional(z.record(printableText, strict(amounts))),
  match: z.exactOptional(
    strict({
      models: z.exactOptional(nameList),
      providers: z.exactOptional(nameList),
      endpoints: z.exactOptional(nameList),
    }),
  ),
  mode: z.exactOptional(z.enum(['enforce', 'warn', 'shadow'])),
  reserve: z.exactOptional(z.enum(['auto', 'max', 'expected', 'lease'])),
  when_short: z.exactOptional(z.enum(['shrink', 'refuse'])),
  min_output: z.exactOptional(z.int().min(1)),
  alerts: z.exactOptional(z.array(z.number().gt(0).max(1)).max(20)),
  on_backend_failure: z.exactOptional(z.enum(['local', 'deny', 'allow'])),
}).superRefine(checkLimit)

type IssueSink = {
  addIssue(issue: { code: 'custom'; path?: PropertyKey[]; message: string }): void
}

function checkLimit(limit: LimitConfig, ctx: IssueSink): void {
  const complain = (path: string, message: string): void =>
    ctx.addIssue({ code: 'custom', path: [path], message })
  if (limit.refillPerSec !== undefined && limit.refill_per_sec !== undefined) {
    complain('refillPerSec', 'is another name of refill_per_sec: write one of them')
  }
  const algorithm = algorithmOf(limit)
  if (algorithm === null) {
    complain('algorithm', `is required; one of: ${ALGORITHMS.join(', ')}`)
    return
  }
  checkUnit(limit, algorithm, complain)
  checkAmounts(limit, complain)
  checkMatch(limit, ctx)
  if (!isForListedOnly(limit)) checkFields(limit, algorithm, complain)
  for (const [value, own] of Object.entries(limit.values ?? {})) {
    const complainOf = (path: string, message: string): void =>
      ctx.addIssue({ code: 'custom', path: ['values', value, path], message })
    checkFields(limitOfValue(limit, own), algorithm, complainOf)
    checkAmounts({ ...own, scope: limit.scope, unit: unitOf(limit) ?? 'tokens' }, complainOf)
  }
  if (limit.values !== undefined && limit.scope === 'global') {
    complain('values', 'has no meaning with the scope "global", which has one counter')
  }
}

type Complain = (path: string, message: string) => void

function checkFields(limit: LimitConfig, algorithm: Algorithm, complain: Complain): void {
  const { needs, takes } = FIELDS[algorithm]
  for (const field of ALGORITHM_FIELDS) {
    const value = field === 'refill_per_sec' ? refillOf(limit) : limit[field]
    if (needs.includes(field) && value === undefined) {
      complain(field, `is required by the algorithm "${algorithm}"`)
    }
    if (value !== undefined && !needs.includes(field) && !takes.includes(field)) {
      complain(field, `has no meaning with the algorithm "${algorithm}"`)
    }
  }
}

/** A limit that can match nothing is a limit that is off without anybody knowing. */
function checkMatch({ match = {} }: LimitConfig, ctx: IssueSink): void {
  for (const field of ['models', 'providers', 'endpoints'] as const) {
    const list = match[field]
    if (list === undefined) continue
    const patterns = typeof list === 'string' ? [list] : list
    const path = ['match', field]
    if (patterns.length === 0) {
      ctx.addIssue({
        code: 'custom',
        path,
        message: 'names nothing, so the limit would never hold',
      })
    }
    const unknown = field === 'endpoints' ? patterns.find(isNoEndpoint) : undefined
    if (unknown === undefined) continue
    const message = `no endpoint is called "${unknown}"${didYouMean(unknown, KNOWN_ENDPOINTS)}`
    ctx.addIssue({ code: 'custom', path, message })
  }
}

function isNoEndpoint(pattern: string): boolean {
  if (namePatternProblem(pattern) !== null) return false
  return !KNOWN_ENDPOINTS.some(compileNames([pattern]))
}

function checkUnit(limit: LimitConfig, algorithm: Algorithm, complain: Complain): void {
  const unit = unitOf(limit)
  if (unit === null) {
    complain('unit', `is required; one of: ${LIMIT_UNITS.join(', ')}`)
  } else if ((unit === 'concurrent') !== (algorithm === 'concurrent')) {
    complain('unit', 'the unit "concurrent" and the algorithm "concurrent" go together')
  }
  if (unit !== null && !OUTPUT_UNITS.has(unit)) checkNoOutput(limit, unit, complain)
}

/** What speaks of the output, on a limit that does not count it. */
function checkNoOutput(limit: LimitConfig, unit: string, complain: Complain): void {
  const { reserve, when_short, min_output } = limit
  const isMeaningless = `has no meaning with the unit "${unit}"`
  if (reserve === 'lease' || reserve === 'expected') {
    complain('reserve', `"${reserve}" ${isMeaningless}`)
  }
  if (when_short === 'shrink') complain('when_short', `"${when_short}" ${isMeaningless}`)
  if (min_output !== undefined) complain('min_output', isMeaningless)
}

function checkAmounts(limit: LimitConfig, complain: Complain): void {
  for (const field of ['amount', 'capacity'] as const) {
    const value = limit[field]
    if (value === undefined || value < 0) continue
    if (limit.unit === 'usd') {
      const result = usdAmount.safeParse(value)
      if (!result.success) {
        complain(field, result.error.issues[0]?.message ?? 'is no amount of US dollars')
      }
    } else if (!Number.isSafeInteger(value)) {
      complain(field, 'must be a whole number')
    }
  }
}
