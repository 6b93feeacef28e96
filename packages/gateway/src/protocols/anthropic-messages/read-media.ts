import type { MediaSource } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import { type Fields, lossOf, requiredText } from './fields.ts'

const PATH = 'messages[].content[].source'

/** Where an image or a document is. */
export function readSource(value: unknown, losses: LossList): MediaSource {
  if (!isRecord(value)) throw invalidField(PATH, 'must be an object.')
  switch (value['type']) {
    case 'base64':
      return {
        kind: 'base64',
        mediaType: requiredText(value, 'media_type', `${PATH}.media_type`),
        data: requiredText(value, 'data', `${PATH}.data`),
      }
    case 'url':
      return { kind: 'url', url: requiredText(value, 'url', `${PATH}.url`), mediaType: null }
    case 'text':
      return { kind: 'text', text: requiredText(value, 'data', `${PATH}.data`) }
    case 'file':
      return { kind: 'file', id: requiredText(value, 'file_id', `${PATH}.file_id`) }
    case 'content':
      return { kind: 'text', text: joinTexts(value['content'], losses) }
    default:
      throw invalidField(`${PATH}.type`, 'is no known source.')
  }
}

/** A document made of blocks becomes one text; its images are losses. */
function joinTexts(content: unknown, losses: LossList): string {
  if (typeof content === 'string') return content
  const texts: string[] = []
  for (const block of Array.isArray(content) ? content : []) {
    if (isRecord(block) && typeof block['text'] === 'string') texts.push(block['text'])
    else losses.add(lossOf(`${PATH}.content[]`, isRecord(block) ? block['type'] : null))
  }
  return texts.join('\n\n')
}

/** A search result as a text: title, source, then what it says. */
export function searchResultText(block: Fields): string {
  const texts: string[] = []
  for (const name of ['title', 'source']) {
    const value = block[name]
    if (typeof value === 'string' && value !== '') texts.push(value)
  }
  for (const part of Array.isArray(block['content']) ? block['content'] : []) {
    if (isRecord(part) && typeof part['text'] === 'string') texts.push(part['text'])
  }
  return texts.join('\n')
}
