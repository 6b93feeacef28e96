import type { UsageGroup } from '../contracts/ledger-proof.ts'
import type {
  LedgerReconciliation,
  ReconcileBody,
  ReconciledView,
  ReconcileGroup,
  UsageCounts,
} from './ledger-api.ts'
import type { Control } from './control.ts'
import { AdminError } from './admin-error.ts'

const DAY_MS = 86_400_000
const NOTHING: UsageCounts = { requests: 0, input: 0, cache_read: 0, cache_write: 0, output: 0 }
const TOKENS = ['input', 'cache_read', 'cache_write', 'output'] as const

/** The days of the export, group by group. Tokens decide; what counts as a request differs between providers. */
export async function reconcile(
  { store }: Control,
  { groups, provider, by_project: byProject = false }: ReconcileBody,
): Promise<LedgerReconciliation> {
  if (store.proof?.groups === undefined) {
    throw new AdminError('not_available', 'This store does not add up its records by model.')
  }
  const days = groups.map(({ day }) => day).toSorted()
  const since = days[0] ?? ''
  const until = days.at(-1) ?? ''
  const own = await store.proof.groups({
    sinceMs: Date.parse(since),
    untilMs: Date.parse(until) + DAY_MS,
    provider: provider ?? null,
    byProject,
  })
  const items = pair(own, byProject ? groups : groups.map((group) => ({ ...group, project: null })))
  return { ok: items.every(isEven), since, until, items }
}

function nameOf({ day, model, project }: Pick<UsageGroup, 'day' | 'model' | 'project'>): string {
  return JSON.stringify([day, model, project])
}

function pair(
  own: readonly UsageGroup[],
  theirs: readonly ReconcileGroup[],
): readonly ReconciledView[] {
  const pairs = new Map<string, { own: UsageCounts; theirs: ReconciledView['provider'] }>()
  for (const { cacheRead, cacheWrite, ...group } of own) {
    const { requests, input, output } = group
    const counts = { requests, input, cache_read: cacheRead, cache_write: cacheWrite, output }
    pairs.set(nameOf(group), { own: counts, theirs: { ...NOTHING } })
  }
  for (const { day, model, project, ...counts } of theirs) {
    const name = nameOf({ day, model, project })
    const before = pairs.get(name) ?? { own: NOTHING, theirs: { ...NOTHING } }
    pairs.set(name, { own: before.own, theirs: sum(before.theirs, counts) })
  }
  return [...pairs]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([name, both]) => {
      const [day, model, project]: [string, string, string | null] = JSON.parse(name)
      const { own: ledger, theirs: provider } = both
      return { day, model, project, ledger, provider, difference: difference(ledger, provider) }
    })
}

function sum(
  one: ReconciledView['provider'],
  other: ReconciledView['provider'],
): ReconciledView['provider'] {
  const requests =
    one.requests === null || other.requests === null ? null : one.requests + other.requests
  return {
    requests,
    input: one.input + other.input,
    cache_read: one.cache_read + other.cache_read,
    cache_write: one.cache_write + other.cache_write,
    output: one.output + other.output,
  }
}

function difference(
  ledger: UsageCounts,
  provider: ReconciledView['provider'],
): ReconciledView['difference'] {
  return {
    requests: provider.requests === null ? null : ledger.requests - provider.requests,
    input: ledger.input - provider.input,
    cache_read: ledger.cache_read - provider.cache_read,
    cache_write: ledger.cache_write - provider.cache_write,
    output: ledger.output - provider.output,
  }
}

function isEven({ difference: left }: ReconciledView): boolean {
  return TOKENS.every((kind) => left[kind] === 0)
}
