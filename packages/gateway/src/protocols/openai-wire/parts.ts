import type {
  AudioBlock,
  CacheHint,
  Citation,
  Grammar,
  MediaSource,
  TextBlock,
} from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { textOrNull } from '../read-answer.ts'
import { invalidField } from '../read-body.ts'
import { asMembers, type Members, needMembers, needText } from './values.ts'

/** Members of a part by which clients mark the end of a prefix to cache. */
export const CACHE_MEMBERS = ['cache_control', 'prompt_cache_breakpoint'] as const

export function textBlock(text: string, cache: CacheHint | null = null): TextBlock {
  return { type: 'text', text, citations: [], cache }
}

/** OpenAI's own breakpoint, or the one of Messages, which several vendors take here too. */
export function readCache(members: Members): CacheHint | null {
  const hint = members['prompt_cache_breakpoint'] ?? members['cache_control']
  return isRecord(hint) ? { ttl: textOrNull(hint['ttl']) } : null
}

export function readAudio(part: Members, path: string): AudioBlock {
  const at = `${path}.input_audio`
  const audio = needMembers(part['input_audio'], at)
  return {
    type: 'audio',
    data: needText(audio, 'data', `${at}.data`),
    format: needText(audio, 'format', `${at}.format`),
  }
}

export function checkedSource(source: MediaSource | null, path: string): MediaSource {
  if (source === null) throw invalidField(path, 'is no valid data URL.')
  return source
}

/** `content`: what is cited, as the web search of some vendors says it. */
export function readCitation(citation: Members): Citation {
  return {
    url: textOrNull(citation['url']),
    title: textOrNull(citation['title']),
    citedText: textOrNull(citation['content']),
    start: offset(citation['start_index']),
    end: offset(citation['end_index']),
  }
}

function offset(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

/** A custom tool's grammar; null when it takes any text. */
export function readGrammar(value: unknown): Grammar | null {
  const { syntax, definition } = asMembers(value)
  return typeof syntax === 'string' && typeof definition === 'string'
    ? { syntax, definition }
    : null
}
