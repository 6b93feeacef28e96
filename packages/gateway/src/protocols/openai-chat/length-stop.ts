import type { LengthStop, LengthStopOptions, SseFrame } from '../../contracts/protocol.ts'
import type { Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import { writeUsage } from './write-usage.ts'

/** The finish reason of every choice, the usage when it was asked for, `[DONE]`. `text`: of completions, not of chat. */
export function chatLengthStop(text: boolean): (options: LengthStopOptions) => LengthStop {
  return ({ choices, streamUsage }) => {
    let head: Readonly<Record<string, unknown>> | null = null
    return {
      readFrame(frame) {
        head ??= headOf(frame)
      },
      render(usage) {
        const blank = text ? { text: '' } : { delta: {} }
        const ended = Array.from({ length: choices }, (_, index) => ({
          index,
          ...blank,
          logprobs: null,
          finish_reason: 'length',
        }))
        const last = chunk({ ...head, choices: ended })
        const told = streamUsage ? usageChunk(head, usage) : ''
        return `${last}${told}data: [DONE]\n\n`
      },
    }
  }
}

function usageChunk(head: Readonly<Record<string, unknown>> | null, usage: Usage): string {
  const counts = writeUsage(usage)
  return counts === null ? '' : chunk({ ...head, choices: [], usage: counts })
}

function chunk(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

/** What every chunk of an answer repeats. */
function headOf({ bytes, start, end }: SseFrame): Readonly<Record<string, unknown>> | null {
  const event = parseSseFrame(bytes, start, end)
  const first = event === null ? null : parseJson(event.data)
  if (!isRecord(first) || !Array.isArray(first['choices'])) return null
  const { choices: _choices, usage: _usage, obfuscation: _obfuscation, ...head } = first
  return head
}
