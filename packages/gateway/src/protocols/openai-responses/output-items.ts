import type { Citation, MediaSource, OpenBlock, Signature } from '../../contracts/conversation.ts'
import { urlOf } from '../openai-wire/media.ts'
import { sealCallId } from '../translation/seal.ts'
import { stateOf, summaryOf } from './reasoning.ts'

type ItemStatus = 'in_progress' | 'completed' | 'incomplete'
export type OpenCall = Extract<OpenBlock, { type: 'tool_call' }>

/** JSON of output items and their parts, for whole answers and for streams alike. Ids are ours: they need no escape. */
export function messageJson(id: string, status: ItemStatus, parts: readonly string[]): string {
  return `{"id":"${id}","type":"message","status":"${status}","role":"assistant","content":[${parts.join(',')}]}`
}

/** `text`: its JSON. */
export function textPartJson(text: string, annotations: readonly string[]): string {
  return `{"type":"output_text","text":${text},"annotations":[${annotations.join(',')}],"logprobs":[]}`
}

/** `text`: its JSON. */
export function refusalPartJson(text: string): string {
  return `{"type":"refusal","refusal":${text}}`
}

/** Without offsets of its own, the whole text is what cites. */
export function annotationJson(citation: Citation, textLength: number): string {
  const { url, title, citedText, start, end } = citation
  return JSON.stringify({
    type: 'url_citation',
    url: url ?? '',
    title: title ?? '',
    start_index: start ?? 0,
    end_index: end ?? textLength,
    ...(citedText === null ? {} : { content: citedText }),
  })
}

/** `text`: JSON of the arguments or the free text. */
export function callJson(
  id: string,
  status: ItemStatus,
  { call, text }: { readonly call: OpenCall; readonly text: string },
): string {
  const callId = JSON.stringify(sealCallId(call.id, call.signature))
  const name = JSON.stringify(call.name)
  const [type, member] = call.custom
    ? ['custom_tool_call', 'input']
    : ['function_call', 'arguments']
  return `{"id":"${id}","type":"${type}","status":"${status}","call_id":${callId},"name":${name},"${member}":${text}}`
}

/** Arguments as their JSON text: none are an empty object. */
export function callTextJson(text: string, custom: boolean): string {
  return JSON.stringify(text === '' && !custom ? '{}' : text)
}

export function reasoningJson(
  id: string,
  block: {
    readonly text: string
    readonly signature: Signature | null
    readonly redacted: boolean
  },
): string {
  const { text, signature, redacted } = block
  const state =
    signature === null ? '' : `,"encrypted_content":${JSON.stringify(stateOf(signature, redacted))}`
  return `{"id":"${id}","type":"reasoning","summary":${JSON.stringify(summaryOf(text))}${state}}`
}

/** A picture whose data is in the answer is what the image tool gives; one that is elsewhere is told as a text. */
export function imageJson(id: string, source: MediaSource): string {
  if (source.kind === 'base64') {
    const result = JSON.stringify(source.data)
    return `{"id":"${id}","type":"image_generation_call","status":"completed","result":${result}}`
  }
  const text = JSON.stringify(`![](${urlOf(source) ?? ''})`)
  return messageJson(id, 'completed', [textPartJson(text, [])])
}
