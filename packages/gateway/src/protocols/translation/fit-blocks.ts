import type {
  Block,
  RefusalBlock,
  TextBlock,
  ThinkingBlock,
  ToolCallBlock,
} from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { callInput } from './call-input.ts'

/** Null when it says nothing: where blank texts are refused. */
export function fitText(block: TextBlock | RefusalBlock, { losses }: RenderOptions): Block | null {
  if (block.type === 'refusal') losses.add('messages[].refusal')
  else if (block.citations.length > 0) losses.add('citations')
  if (block.text.trim() === '') return null
  return block.type === 'text'
    ? block
    : { type: 'text', text: block.text, citations: [], cache: null }
}

/** Only the model that thought can have its thinking back, unchanged. */
export function fitThinking(block: ThinkingBlock, { keeps, losses }: RenderOptions): Block | null {
  if (block.signature !== null && keeps(block.signature)) return block
  losses.add('messages[].thinking')
  return null
}

/** The arguments as the JSON of an object, from here on; calls have no place for a signature. */
export function fitCall(block: ToolCallBlock, { losses }: RenderOptions): Block {
  if (block.signature !== null) losses.add('tool_call.signature')
  const { json, broken } = callInput(block.input)
  if (broken) losses.add('tool_call.input')
  return json === block.input ? block : { ...block, input: json }
}

/** Something that belongs to the question: without it the answer would be wrong. */
export function notCarried(what: string): GatewayError {
  const problem = `${what}: cannot be carried to the provider of this model.`
  return new GatewayError('not_translatable', problem, { details: { param: what } })
}
