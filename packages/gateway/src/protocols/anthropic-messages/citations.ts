import type { Citation } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { textOrNull } from '../read-answer.ts'

/** Citations of a text block, of all five kinds. Their offsets count in the source, not in the text that cites. */
export function readCitations(value: unknown): readonly Citation[] {
  if (!Array.isArray(value)) return []
  const given: readonly unknown[] = value
  const citations: Citation[] = []
  for (const one of given) {
    const citation = readCitation(one)
    if (citation !== null) citations.push(citation)
  }
  return citations
}

/** `source` names a search result, mostly by its address. */
export function readCitation(value: unknown): Citation | null {
  if (!isRecord(value)) return null
  return {
    url: textOrNull(value['url']) ?? textOrNull(value['source']),
    title: textOrNull(value['title']) ?? textOrNull(value['document_title']),
    citedText: textOrNull(value['cited_text']),
    start: null,
    end: null,
  }
}

/**
 * As a result of a web search, the only kind that names its source itself. Null without an address: the other kinds point
 * into documents of the request, and the provider did not say into which.
 */
export function citationJson({ url, title, citedText }: Citation): string | null {
  if (url === null) return null
  return JSON.stringify({
    type: 'web_search_result_location',
    cited_text: citedText ?? '',
    encrypted_index: '',
    title,
    url,
  })
}
