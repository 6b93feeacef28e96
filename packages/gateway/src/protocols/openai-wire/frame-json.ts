import type { SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import type { Members } from './values.ts'

const DATA = 'data: '
const DONE = '[DONE]'

/** The JSON object that a frame carries; null when it carries none. The usual single line is read directly. Hot. */
export function readFrameJson({ bytes, start, end }: SseFrame): Members | null {
  const text = bytes.toString('utf8', start, end)
  const lineEnd = text.indexOf('\n')
  const isSingle = text.startsWith(DATA) && lineEnd === text.length - 2 && text.endsWith('\n\n')
  const data = isSingle ? text.slice(DATA.length, lineEnd) : dataOf({ bytes, start, end })
  if (data === null || data === DONE) return null
  const value = parseJson(data)
  return isRecord(value) ? value : null
}

function dataOf({ bytes, start, end }: SseFrame): string | null {
  return parseSseFrame(bytes, start, end)?.data ?? null
}
