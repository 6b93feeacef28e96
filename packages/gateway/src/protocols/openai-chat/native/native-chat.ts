import type { OpenedRequest, RequestWrapper, WrapFacts } from '../../../contracts/protocol.ts'
import { GatewayError } from '../../../errors/gateway-error.ts'
import { isRecord } from '../../../lib/is-record.ts'
import { parseAnswer } from '../../read-answer.ts'
import {
  invalidField,
  memberValue,
  type ReadBody,
  readFlag,
  readJsonBody,
} from '../../read-body.ts'
import { CHAT } from '../chat.ts'
import { readPolicy } from './read-policy.ts'
import { shapeText, type TextShape } from './shape-text.ts'

const OPEN_OBJECT = 0x7b
const NANO_PER_USD = 1e9
const MAX_SHAPE_TOKENS = 1_000_000
const NOT_YET = 'is not available in this version.'
const MEMBERS: ReadonlySet<string> = new Set(['request', 'policy', 'output_format', 'capabilities'])
/** What TokenHub's requests may hold besides a chat's members: all of it steers its routing. */
const STEERING = [
  'id',
  'model_hint',
  'estimated_input_tokens',
  'meta',
  'output_schema',
  'parameters',
] as const
const TYPES: ReadonlySet<unknown> = new Set(['json', 'markdown', 'text'])

/**
 * TokenHub's envelope around a chat completion: `{request, output_format}` in, the answer with its model and cost out.
 * The request inside goes the way of every chat completion. Streams and refusals come as they are, without the envelope.
 */
export const NATIVE_CHAT: RequestWrapper = { path: '/v1/chat', endpoint: CHAT, open }

function open(bytes: Buffer, maxDepth: number): OpenedRequest {
  const body = readJsonBody(bytes, maxDepth, null)
  for (const name of body.members.keys()) {
    if (!MEMBERS.has(name)) throw invalidField(name, 'is not a member of this envelope.')
  }
  refuseAll(body, 'capabilities')
  const request = readRequest(body, maxDepth)
  const shape = readShape(memberValue(body, 'output_format'))
  if (shape !== null && readFlag(request, 'stream')) {
    throw invalidField('output_format', 'cannot be given together with request.stream.')
  }
  return {
    body: withModel(request),
    hints: readPolicy(memberValue(body, 'policy')),
    close: (answer, facts) => close(answer, facts, shape),
  }
}

/** An empty object is a client's way to ask for nothing. */
function refuseAll(body: ReadBody, name: string): void {
  const value = memberValue(body, name) ?? {}
  if (!isRecord(value)) throw invalidField(name, 'must be an object.')
  const [first] = Object.entries(value).find(([, given]) => given !== null) ?? []
  if (first !== undefined) throw invalidField(`${name}.${first}`, NOT_YET)
}

function readRequest(body: ReadBody, maxDepth: number): ReadBody {
  const span = body.members.get('request')
  if (span === undefined) throw invalidField('request', 'is required.')
  if (body.bytes[span.start] !== OPEN_OBJECT) throw invalidField('request', 'must be an object.')
  const request = readJsonBody(body.bytes.subarray(span.start, span.end), maxDepth, null)
  for (const name of STEERING) {
    if ((memberValue(request, name) ?? null) !== null) {
      throw invalidField(`request.${name}`, `${NOT_YET} Give model and the members of a chat.`)
    }
  }
  return request
}

/** A client that names no model leaves the choice to the gateway. */
function withModel({ bytes, members }: ReadBody): Buffer {
  if (members.has('model')) return bytes
  const head = members.size === 0 ? '{"model":"*"' : '{"model":"*",'
  return Buffer.concat([Buffer.from(head), bytes.subarray(1)])
}

function readShape(value: unknown): TextShape | null {
  if (value === undefined || value === null) return null
  if (!isRecord(value)) throw invalidField('output_format', 'must be an object.')
  const { type, strip_think: strip, max_tokens: most, ...rest } = value
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw invalidField(`output_format.${unknown}`, NOT_YET)
  return {
    type: readType(type),
    stripThink: readStrip(strip),
    maxTokens: readMost(most),
  }
}

function readType(type: unknown): TextShape['type'] {
  if (type === undefined || type === null || type === '') return null
  if (type === 'json' || type === 'markdown' || type === 'text') return type
  throw invalidField('output_format.type', `must be one of ${[...TYPES].join(', ')}.`)
}

function readStrip(strip: unknown): boolean {
  if (strip === undefined || strip === null) return false
  if (typeof strip !== 'boolean') {
    throw invalidField('output_format.strip_think', 'must be true or false.')
  }
  return strip
}

function readMost(most: unknown): number | null {
  if (most === undefined || most === null || most === 0) return null
  const isCount = typeof most === 'number' && Number.isInteger(most) && most > 0
  if (!isCount || most > MAX_SHAPE_TOKENS) {
    throw invalidField('output_format.max_tokens', `must be a whole number to ${MAX_SHAPE_TOKENS}.`)
  }
  return most
}

function close(answer: Buffer, facts: WrapFacts, shape: TextShape | null): Buffer {
  const { model, costNanoUsd } = facts
  const cost = costNanoUsd === null ? null : costNanoUsd / NANO_PER_USD
  const head = JSON.stringify({
    negotiated_model: model,
    estimated_cost_usd: cost,
    routing_reason: reasonText(facts),
  })
  return Buffer.concat([
    Buffer.from(`${head.slice(0, -1)},"response":`),
    shape === null ? answer : Buffer.from(shaped(answer, shape)),
    Buffer.from('}'),
  ])
}

/** TokenHub's words, where it has one. */
function reasonText({ reason, weight }: WrapFacts): string {
  switch (reason) {
    case 'explicit':
    case 'model':
      return 'explicit-model'
    case 'wildcard':
      return `routed-weight-${weight}`
    case 'escalated':
      return 'escalated-context-overflow'
    case 'alias':
    case 'fallback':
      return reason
  }
}

/** Only the texts change: ids, usage, tool calls and the rest stay. */
function shaped(answer: Buffer, shape: TextShape): string {
  const value = parseAnswer(answer)
  if (value === null) throw new GatewayError('upstream_invalid', 'The answer is not JSON.')
  const choices = Array.isArray(value['choices']) ? value['choices'] : []
  for (const choice of choices) {
    const message: unknown = isRecord(choice) ? choice['message'] : null
    if (!isRecord(message) || typeof message['content'] !== 'string') continue
    message['content'] = shapeText(message['content'], shape)
  }
  return JSON.stringify(value)
}
