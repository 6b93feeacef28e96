import { isRecord } from '../../lib/is-record.ts'
import { asList, type Members } from '../openai-wire/values.ts'

/** Members of output items, and of the parts in them, that hold what the model wrote. */
const TEXT_MEMBERS = ['text', 'refusal', 'name', 'arguments', 'input', 'code'] as const
const PART_MEMBERS = ['content', 'summary'] as const

/** All model text of `output`: what the output tokens stand for. */
export function readOutputText(output: unknown): string {
  let text = ''
  for (const item of asList(output)) {
    if (!isRecord(item)) continue
    text += readTexts(item)
    for (const name of PART_MEMBERS) text += readParts(item[name])
  }
  return text
}

function readParts(parts: unknown): string {
  let text = ''
  for (const part of asList(parts)) if (isRecord(part)) text += readTexts(part)
  return text
}

function readTexts(members: Members): string {
  let text = ''
  for (const name of TEXT_MEMBERS) {
    const value = members[name]
    if (typeof value === 'string') text += value
  }
  return text
}
