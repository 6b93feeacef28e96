import type { Signature, ThinkingBlock } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { textOrNull } from '../read-answer.ts'
import { openSignature, sealSignature } from '../translation/seal.ts'
import { asList, type Members } from '../openai-wire/values.ts'

/**
 * Vendors show reasoning under different members of a message, and some want it back under the same one (DeepSeek and
 * Moonshot during tool use) while others refuse members that they do not know. So what a vendor showed is given back to
 * that vendor only, as it came: the signature of such a block is the name of its member, or the list of its
 * `reasoning_details` without their texts.
 *
 * @see https://openrouter.ai/docs/use-cases/reasoning-tokens (members and details from general knowledge, not read live)
 */
const PLAIN_MEMBERS = ['reasoning_content', 'reasoning'] as const

type PlainMember = (typeof PLAIN_MEMBERS)[number]

/** Members of a detail that clients of the gateway hold as they got them; more of them mark a vendor's own detail. */
const OWN_MEMBERS: ReadonlySet<string> = new Set(['type', 'text', 'signature', 'data'])
const LIST_START = '['
const CHARS = 'chars'

/** The plain text of a message or delta, and where it stood. */
export function readPlain(message: Members): { member: PlainMember; text: string } | null {
  for (const member of PLAIN_MEMBERS) {
    const text = message[member]
    if (typeof text === 'string' && text !== '') return { member, text }
  }
  return null
}

/** The thinking of one message: of an answer, or of one that a client gives back. */
export function readThinking(message: Members): ThinkingBlock[] {
  const blocks: ThinkingBlock[] = []
  for (const detail of asList(message['reasoning_details'])) {
    if (isRecord(detail)) blocks.push(readDetail(detail))
  }
  if (blocks.length > 0) return blocks
  const plain = readPlain(message)
  if (plain === null) return []
  const signature = { value: plain.member, origin: null }
  return [{ type: 'thinking', text: plain.text, signature, redacted: false }]
}

function readDetail(detail: Members): ThinkingBlock {
  const data = textOrNull(detail['data'])
  const signature = data ?? textOrNull(detail['signature'])
  const isOwn = Object.keys(detail).every((name) => OWN_MEMBERS.has(name))
  return {
    type: 'thinking',
    text: detailText(detail),
    signature:
      isOwn && signature !== null ? openSignature(signature) : signatureOfDetails([detail]),
    redacted: data !== null,
  }
}

export function detailText(detail: Members): string {
  return textOrNull(detail['text']) ?? textOrNull(detail['summary']) ?? ''
}

/** A vendor's details as a signature, whole: what they hold was told in other words before. */
export function signatureOfWhole(details: readonly Members[]): Signature {
  return { value: JSON.stringify(details), origin: null }
}

/** A vendor's details as a signature: everything but the texts, of which it keeps the lengths. */
export function signatureOfDetails(details: readonly Members[]): Signature {
  const bare = details.map(({ text: _text, summary: _summary, ...rest }, i) => ({
    ...rest,
    [CHARS]: detailText(details[i] ?? {}).length,
  }))
  return { value: JSON.stringify(bare), origin: null }
}

/** Puts a thinking block back into a message for the vendor that showed it. Null: no place for it. */
export function giveBack(message: Record<string, unknown>, block: ThinkingBlock): boolean {
  if (block.signature === null) return false
  const { value } = block.signature
  const member = PLAIN_MEMBERS.find((name) => name === value)
  if (member !== undefined) {
    const before = message[member]
    message[member] = typeof before === 'string' ? before + block.text : block.text
    return true
  }
  const details = value.startsWith(LIST_START)
    ? restoreDetails(value, block.text)
    : [detailOf(block, value)]
  message['reasoning_details'] = [...asList(message['reasoning_details']), ...details]
  return details.length > 0
}

/** Clients hold what is restored here, so it may be anything. */
function restoreDetails(value: string, text: string): readonly unknown[] {
  let at = 0
  return parseList(value).flatMap((bare) => {
    if (!isRecord(bare)) return []
    const { [CHARS]: chars, ...detail } = bare
    const end = at + (typeof chars === 'number' ? chars : 0)
    const piece = text.slice(at, end)
    at = end
    if (piece === '') return [detail]
    return [{ ...detail, [detail['type'] === 'reasoning.summary' ? 'summary' : 'text']: piece }]
  })
}

function parseList(text: string): readonly unknown[] {
  try {
    return asList(JSON.parse(text))
  } catch {
    return []
  }
}

/** The reasoning members of a message for a client: the text for all, the signature for those that give it back. */
export function showThinking(
  message: Record<string, unknown>,
  blocks: readonly ThinkingBlock[],
): void {
  const text = blocks.map((block) => block.text).join('')
  if (text !== '') message['reasoning_content'] = text
  const details = blocks.flatMap((block) =>
    block.signature === null ? [] : [detailOf(block, sealSignature(block.signature))],
  )
  if (details.length > 0) message['reasoning_details'] = details
}

/** One block as a detail. */
export function detailOf(
  block: { readonly text: string; readonly redacted: boolean },
  signature: string,
): Record<string, string> {
  return block.redacted
    ? { type: 'reasoning.encrypted', data: signature }
    : { type: 'reasoning.text', text: block.text, signature }
}
