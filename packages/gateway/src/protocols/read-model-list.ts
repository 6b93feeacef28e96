import type { ModelList } from '../contracts/protocol.ts'
import { isRecord } from '../lib/is-record.ts'

type Page = ReturnType<ModelList['read']>

/** The ids in a provider's list of models, which stands in `member`, or is the whole answer. Null: there is no list. */
export function readModelList(
  body: Buffer,
  {
    member,
    id,
    next,
  }: {
    readonly member: string
    readonly id: (model: Readonly<Record<string, unknown>>) => unknown
    /** The query of the next page; null after the last one. */
    readonly next: (answer: Readonly<Record<string, unknown>>) => string | null
  },
): Page {
  const answer = parse(body)
  const list = isRecord(answer) ? answer[member] : answer
  if (!Array.isArray(list)) return null
  const ids = list.map((model: unknown) => (isRecord(model) ? id(model) : null))
  return {
    ids: ids.filter((one) => typeof one === 'string'),
    next: isRecord(answer) ? next(answer) : null,
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return null
  }
}
