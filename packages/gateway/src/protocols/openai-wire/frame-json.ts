import type { SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import type { Members } from './values.ts'

const EVENT = 'event: '
const DATA = 'data: '
const FRAME_END = '\n\n'
const DONE = '[DONE]'

/** The JSON object that a frame carries; null when it carries none. The usual spellings are read directly. Hot. */
export function readFrameJson(frame: SseFrame): Members | null {
  const text = frame.bytes.toString('utf8', frame.start, frame.end)
  const data = dataLine(text) ?? parseSseFrame(frame.bytes, frame.start, frame.end)?.data ?? null
  if (data === null || data === DONE) return null
  const value = parseJson(data)
  return isRecord(value) ? value : null
}

/** The data of a frame of one data line, with an event line before it or none; null: it is another frame. */
function dataLine(text: string): string | null {
  const start = text.startsWith(EVENT) ? text.indexOf('\n') + 1 : 0
  if (!text.startsWith(DATA, start) || !text.endsWith(FRAME_END)) return null
  const end = text.indexOf('\n', start)
  return end === text.length - FRAME_END.length && text[end - 1] !== '\r'
    ? text.slice(start + DATA.length, end)
    : null
}
