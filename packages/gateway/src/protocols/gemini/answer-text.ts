import { isRecord } from '../../lib/is-record.ts'

/** All that the model wrote in one answer or chunk: text, thoughts, calls and code. Signatures and media are not text. */
export function readCandidateText(answer: Readonly<Record<string, unknown>>): string {
  const { candidates } = answer
  let text = ''
  for (const candidate of Array.isArray(candidates) ? candidates : []) {
    const content: unknown = isRecord(candidate) ? candidate['content'] : null
    const parts = isRecord(content) ? content['parts'] : null
    for (const part of Array.isArray(parts) ? parts : []) if (isRecord(part)) text += partText(part)
  }
  return text
}

function partText(part: Record<string, unknown>): string {
  if (typeof part['text'] === 'string') return part['text']
  const written = part['functionCall'] ?? part['executableCode']
  return written === undefined ? '' : JSON.stringify(written)
}
