import type { LengthStop, SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import { deltaUsageJson } from './usage-json.ts'

const DELTA = 'content_block_delta'
const BLOCK = 'content_block_st'

/** Closes the blocks that are open, then says `max_tokens`. */
export function messagesLengthStop(): LengthStop {
  const open = new Set<number>()
  return {
    readFrame(frame) {
      const text = frame.bytes.toString('latin1', frame.start, frame.end)
      if (text.includes(DELTA) || !text.includes(BLOCK)) return
      const event = eventOf(frame)
      const index = event['index']
      if (typeof index !== 'number') return
      if (event['type'] === 'content_block_start') open.add(index)
      else if (event['type'] === 'content_block_stop') open.delete(index)
    },
    render(usage) {
      let text = ''
      for (const index of open) {
        text += `event: content_block_stop\ndata: {"type":"content_block_stop","index":${index}}\n\n`
      }
      return (
        `${text}event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"max_tokens"` +
        `,"stop_sequence":null},"usage":${deltaUsageJson(usage)}}\n\n` +
        'event: message_stop\ndata: {"type":"message_stop"}\n\n'
      )
    },
  }
}

function eventOf({ bytes, start, end }: SseFrame): Readonly<Record<string, unknown>> {
  const event = parseSseFrame(bytes, start, end)
  const data = event === null ? null : parseJson(event.data)
  return isRecord(data) ? data : {}
}
