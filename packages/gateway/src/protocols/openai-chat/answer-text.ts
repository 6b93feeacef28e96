import { isRecord } from '../../lib/is-record.ts'

const TEXT_MEMBERS = ['content', 'reasoning_content', 'reasoning', 'refusal'] as const

/** All model text of `choices`, of whole messages or of stream deltas: what the output tokens stand for. */
export function readChoiceText(choices: unknown, member: 'message' | 'delta'): string {
  if (!Array.isArray(choices)) return ''
  let text = ''
  for (const choice of choices) {
    if (isRecord(choice) && isRecord(choice[member])) text += readMessageText(choice[member])
  }
  return text
}

function readMessageText(message: Record<string, unknown>): string {
  let text = ''
  for (const name of TEXT_MEMBERS) {
    const value = message[name]
    if (typeof value === 'string') text += value
  }
  const calls = Array.isArray(message['tool_calls']) ? message['tool_calls'] : []
  for (const call of [...calls, { function: message['function_call'] }]) {
    if (isRecord(call) && isRecord(call['function'])) text += readCallText(call['function'])
  }
  return text
}

function readCallText(call: Record<string, unknown>): string {
  const name = typeof call['name'] === 'string' ? call['name'] : ''
  return name + (typeof call['arguments'] === 'string' ? call['arguments'] : '')
}
