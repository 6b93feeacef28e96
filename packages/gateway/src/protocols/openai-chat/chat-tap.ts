import type { FrameVerdict, SseFrame, StreamTap } from '../../contracts/protocol.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { KeptFrames, parseJson } from '../kept-frames.ts'
import { readChoiceText } from './answer-text.ts'
import { readUsage } from './usage.ts'

/** At the start of a line only: the same text inside an answer is content. */
const DONE = /(?:^|[\n\r])data: ?\[DONE\]/

/** What would follow at once if a value were empty. */
const CLOSING: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['[', ']'],
  ['{', '}'],
])

/**
 * Watches an OpenAI chat stream. Frames that carry only text go by unparsed.
 *
 * Evidence of a whole answer is `[DONE]` after a finish reason. Usage may come on a frame of its own (empty `choices`),
 * with content, or cumulatively on every frame: the last one counts.
 */
export class ChatTap implements StreamTap {
  private readonly dropUsage: boolean
  private readonly readText: (choices: unknown) => string
  private readonly kept = new KeptFrames()
  private lastUsage: Usage = NO_USAGE
  private model: string | null = null
  private finished = false
  private done = false
  private sawError = false
  private first = true

  /** `readText`: the text of a frame's choices; absent: that of chat deltas. */
  constructor(
    options: { dropUsage: boolean },
    readText: (choices: unknown) => string = readDeltas,
  ) {
    this.dropUsage = options.dropUsage
    this.readText = readText
  }

  readFrame({ bytes, start, end }: SseFrame): FrameVerdict {
    const text = bytes.toString('latin1', start, end)
    if (text.includes('[DONE]') && DONE.test(text)) {
      this.done = true
      return 'end'
    }
    const mustRead =
      this.first ||
      memberIsSet(text, '"finish_reason"') ||
      memberIsSet(text, '"usage"') ||
      memberIsSet(text, '"error"')
    if (carriesOutput(text)) this.kept.add(text)
    return mustRead ? this.read(bytes, start, end) : 'pass'
  }

  complete(): boolean {
    return this.done && this.finished && !this.sawError
  }

  failed(): boolean {
    return this.sawError
  }

  usage(): Usage {
    return this.lastUsage
  }

  servedModel(): string | null {
    return this.model
  }

  outputFrames(): number {
    return this.kept.count
  }

  outputText(): string {
    return this.kept.text(({ data }) => {
      const chunk = parseJson(data)
      return isRecord(chunk) ? this.readText(chunk['choices']) : ''
    })
  }

  private read(bytes: Buffer, start: number, end: number): FrameVerdict {
    const event = parseSseFrame(bytes, start, end)
    const chunk = event === null ? null : parseJson(event.data)
    if (!isRecord(chunk)) return 'pass'
    this.first = false
    if (typeof chunk['model'] === 'string') this.model ??= chunk['model']
    if (chunk['error'] !== undefined && chunk['error'] !== null) this.sawError = true
    const choices = Array.isArray(chunk['choices']) ? chunk['choices'] : []
    for (const choice of choices) {
      const reason = isRecord(choice) ? choice['finish_reason'] : null
      if (typeof reason === 'string' && reason !== '') this.finished = true
    }
    if (!isRecord(chunk['usage'])) return 'pass'
    this.lastUsage = readUsage(chunk['usage'])
    return this.dropUsage && choices.length === 0 ? 'drop' : 'pass'
  }
}

function readDeltas(choices: unknown): string {
  return readChoiceText(choices, 'delta')
}

/** Whether a member stands in the text with a value other than null. Escaped quotes inside strings do not match. */
function memberIsSet(text: string, name: string): boolean {
  const at = text.indexOf(name)
  if (at === -1) return false
  let next = at + name.length
  while (text[next] === ' ' || text[next] === ':') next++
  return !text.startsWith('null', next) || text.indexOf(name, next) !== -1
}

/** Content, reasoning, refusal or tool arguments that are not empty. */
function carriesOutput(text: string): boolean {
  return (
    holdsValue(text, '"content"') ||
    holdsValue(text, '"tool_calls"') ||
    (text.includes('"reasoning') && holdsReasoning(text)) ||
    holdsValue(text, '"refusal"') ||
    holdsValue(text, '"function_call"') ||
    holdsValue(text, '"text"')
  )
}

function holdsReasoning(text: string): boolean {
  return (
    holdsValue(text, '"reasoning_content"') ||
    holdsValue(text, '"reasoning"') ||
    holdsValue(text, '"reasoning_details"')
  )
}

/** Whether any member of this name holds a text, a list or an object that is not empty. */
function holdsValue(text: string, member: string): boolean {
  for (let at = text.indexOf(member); at !== -1; at = text.indexOf(member, at + 1)) {
    let next = at + member.length
    while (text[next] === ' ' || text[next] === ':') next++
    const closing = CLOSING.get(text[next] ?? '')
    if (closing !== undefined && text[next + 1] !== closing) return true
  }
  return false
}
