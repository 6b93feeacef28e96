import { isDeepStrictEqual } from 'node:util'
import { isRecord } from './shape.ts'

type Event = Readonly<Record<string, unknown>>
/** What the events have said of one item so far. */
type Draft = {
  readonly id: unknown
  /** By the place of the part in the item. */
  readonly texts: Map<string, string>
  done: unknown
}

/** Items are added in order, filled by deltas, done once, and the end repeats exactly them. */
export function checkItems(events: readonly Event[], output: unknown): readonly string[] {
  const problems: string[] = []
  const drafts: Draft[] = []
  for (const event of events) {
    const type = String(event['type'])
    if (type === 'response.output_item.added') add(event, drafts, problems)
    else if ('output_index' in event) follow(type, event, { drafts, problems })
  }
  const done = drafts.map((draft) => draft.done)
  if (!isDeepStrictEqual(done, output)) problems.push('the last object is not what was streamed')
  for (const draft of drafts) problems.push(...unlikeDeltas(draft))
  return problems
}

function add(event: Event, drafts: Draft[], problems: string[]): void {
  const { item, output_index: at } = event
  if (at !== drafts.length) problems.push(`item ${String(at)} is added out of order`)
  drafts.push({ id: isRecord(item) ? item['id'] : null, texts: new Map(), done: null })
}

type Seen = { readonly drafts: readonly Draft[]; readonly problems: string[] }

function follow(type: string, event: Event, { drafts, problems }: Seen): void {
  const draft = drafts[Number(event['output_index'])]
  if (draft === undefined) {
    problems.push(`${type} before its item`)
    return
  }
  if (draft.done !== null) problems.push(`${type} after its item was done`)
  if (type === 'response.output_item.done') {
    draft.done = event['item']
    if (isRecord(draft.done) && draft.done['id'] !== draft.id) {
      problems.push('an item changed its id')
    }
    return
  }
  if (event['item_id'] !== draft.id) problems.push(`${type} names another item`)
  collect(type, event, { draft, problems })
}

type Collected = { readonly draft: Draft; readonly problems: string[] }

function collect(type: string, event: Event, { draft, problems }: Collected): void {
  const part = JSON.stringify([event['content_index'], event['summary_index']])
  const where = `${type.split('.').slice(0, 2).join('.')} ${part}`
  const before = draft.texts.get(where)
  if (type.endsWith('.delta')) draft.texts.set(where, (before ?? '') + String(event['delta']))
  if (!type.endsWith('.done') || before === undefined) return
  const whole = event['text'] ?? event['arguments'] ?? event['input'] ?? event['refusal']
  if (whole !== before) problems.push(`${type} is not the sum of its deltas`)
}

/** All texts of the done item are the texts of its deltas. */
function unlikeDeltas({ done, texts }: Draft): readonly string[] {
  if (!isRecord(done)) return ['an item was never done']
  const lists = [done['content'], done['summary']].flatMap((list) =>
    Array.isArray(list) ? list : [],
  )
  const parts = lists.filter(isRecord).map((part) => part['text'] ?? part['refusal'])
  const own = done['arguments'] ?? done['input'] ?? ''
  const told = [...texts.values()].join('')
  return [...parts, own].join('') === told ? [] : [`the deltas said ${told.slice(0, 60)}`]
}
