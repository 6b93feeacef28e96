import { isRecord } from './wire/shape.ts'
import type { ProtocolId } from './client.ts'

/** What a cell finds wrong. */
class CheckFailed extends Error {
  override readonly name = 'CheckFailed'
}

export function check(holds: boolean, what: string): void {
  if (!holds) throw new CheckFailed(what)
}

export function checkEqual(found: unknown, wanted: unknown, what: string): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)]
  check(one === other, `${what}: ${one?.slice(0, 200)} instead of ${other?.slice(0, 200)}`)
}

/** The instructions in the place where this protocol's providers look for them. */
export function systemIn(protocol: ProtocolId, body: unknown): string {
  if (!isRecord(body)) return ''
  if (protocol === 'anthropic-messages') return JSON.stringify(body['system'] ?? '')
  if (protocol === 'gemini') {
    return JSON.stringify(body['systemInstruction'] ?? body['system_instruction'] ?? '')
  }
  const turns = body[protocol === 'openai-chat' ? 'messages' : 'input']
  const system = (Array.isArray(turns) ? turns : []).filter(
    (turn) => isRecord(turn) && (turn['role'] === 'system' || turn['role'] === 'developer'),
  )
  return JSON.stringify([body['instructions'] ?? '', ...system])
}
