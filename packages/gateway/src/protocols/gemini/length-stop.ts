import type { LengthStop } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import { usageJson } from './usage.ts'

/** One more chunk, with the finish reason of every candidate. */
export function geminiLengthStop({ choices }: { readonly choices: number }): LengthStop {
  let head: Readonly<Record<string, unknown>> | null = null
  return {
    readFrame({ bytes, start, end }) {
      if (head !== null) return
      const event = parseSseFrame(bytes, start, end)
      const first = event === null ? null : parseJson(event.data)
      if (!isRecord(first)) return
      const { candidates: _candidates, usageMetadata: _usage, ...rest } = first
      head = rest
    },
    render(usage) {
      const candidates = Array.from({ length: choices }, (_, index) => ({
        content: { role: 'model', parts: [{ text: '' }] },
        finishReason: 'MAX_TOKENS',
        index,
      }))
      const counts = usageJson(usage)
      const told = counts === null ? {} : { usageMetadata: parseJson(counts) }
      return `data: ${JSON.stringify({ candidates, ...told, ...head })}\r\n\r\n`
    },
  }
}
