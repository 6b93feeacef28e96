import type { UsageRecord } from '../../contracts/usage-record.ts'

/** Use of one day (UTC) of one model, as the provider names it. */
type Group = {
  readonly day: string
  readonly model: string
  readonly project: string | null
  requests: number
  input: number
  cacheRead: number
  cacheWrite: number
  output: number
}

export type GroupFilter = {
  readonly sinceMs: number
  readonly untilMs: number
  readonly provider: string | null
  readonly byProject: boolean
}

const DAY_CHARACTERS = 'YYYY-MM-DD'.length

/** Adds up, for the comparison with a provider's own numbers. Sorted by day, model and project. */
export async function usageGroups(
  records: AsyncIterable<UsageRecord>,
  { provider, byProject }: GroupFilter,
): Promise<readonly Group[]> {
  const groups = new Map<string, Group>()
  for await (const record of records) {
    const { usage } = record
    if (provider !== null && record.provider !== provider) continue
    if (usage.inputTokens === null && usage.outputTokens === null) continue
    const day = new Date(record.startedAtMs).toISOString().slice(0, DAY_CHARACTERS)
    const model = modelOf(record)
    const project = byProject ? record.project : null
    const name = JSON.stringify([day, model, project ?? ''])
    const group = groups.get(name) ?? newGroup(day, model, project)
    groups.set(name, group)
    group.requests += 1
    group.input += usage.inputTokens ?? 0
    group.cacheRead += usage.cacheReadTokens ?? 0
    group.cacheWrite += (usage.cacheWrite5mTokens ?? 0) + (usage.cacheWrite1hTokens ?? 0)
    group.output += usage.outputTokens ?? 0
  }
  return [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}

/** In its answer, else as it was asked for. */
function modelOf({ servedModel, target, provider, model }: UsageRecord): string {
  return servedModel ?? target?.slice((provider ?? '').length + 1) ?? model ?? ''
}

function newGroup(day: string, model: string, project: string | null): Group {
  return { day, model, project, requests: 0, input: 0, cacheRead: 0, cacheWrite: 0, output: 0 }
}
