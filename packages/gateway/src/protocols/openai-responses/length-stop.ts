import type { LengthStop, SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import type { Members } from '../openai-wire/values.ts'
import { writeUsage } from './usage.ts'

type Item = { readonly item: Members; readonly parts: { text: string; readonly part: Members }[] }

const TEXT = 'output_text'

/** Ends the items that are open, then says `response.incomplete` with all that there is. */
export function responsesLengthStop(): LengthStop {
  return new ResponsesLengthStop()
}

class ResponsesLengthStop implements LengthStop {
  private response: Members = {}
  private sequence = -1
  private readonly done: Map<number, unknown> = new Map()
  private readonly open: Map<number, Item> = new Map()

  readFrame(frame: SseFrame): void {
    const event = eventOf(frame)
    const { type, sequence_number: sequence, output_index: index } = event
    if (typeof sequence === 'number') this.sequence = sequence
    if (type === 'response.created' && isRecord(event['response']))
      this.response = event['response']
    if (typeof index !== 'number') return
    if (type === 'response.output_item.added' && isRecord(event['item'])) {
      this.open.set(index, { item: event['item'], parts: [] })
    } else if (type === 'response.output_item.done') {
      this.open.delete(index)
      this.done.set(index, event['item'])
    } else this.readPart(this.open.get(index), event)
  }

  render(usage: Parameters<LengthStop['render']>[0]): string {
    let text = ''
    for (const [index, { item, parts }] of this.open) {
      for (const [at, { part, text: written }] of parts.entries()) {
        if (part['type'] !== TEXT) continue
        const place = { item_id: item['id'], output_index: index, content_index: at }
        text += this.frame('response.output_text.done', { ...place, text: written, logprobs: [] })
        text += this.frame('response.content_part.done', {
          ...place,
          part: { ...part, text: written },
        })
      }
      const whole = wholeItem(item, parts)
      text += this.frame('response.output_item.done', { output_index: index, item: whole })
      this.done.set(index, whole)
    }
    const output = [...this.done].toSorted(([a], [b]) => a - b).map(([, item]) => item)
    const response = {
      ...this.response,
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output,
      usage: writeUsage(usage),
    }
    return text + this.frame('response.incomplete', { response })
  }

  private readPart(open: Item | undefined, event: Members): void {
    if (open === undefined) return
    const { type, content_index: at, delta } = event
    if (type === 'response.content_part.added' && typeof at === 'number') {
      open.parts[at] = { text: '', part: isRecord(event['part']) ? event['part'] : {} }
      return
    }
    const part = typeof at === 'number' ? open.parts[at] : undefined
    if (type === 'response.output_text.delta' && part !== undefined && typeof delta === 'string') {
      part.text += delta
    }
  }

  private frame(type: string, members: object): string {
    this.sequence += 1
    const data = { type, sequence_number: this.sequence, ...members }
    return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
  }
}

function wholeItem(item: Members, parts: Item['parts']): Members {
  if (item['type'] !== 'message') return { ...item, status: 'incomplete' }
  const content = parts.map(({ part, text }) => (part['type'] === TEXT ? { ...part, text } : part))
  return { ...item, status: 'incomplete', content }
}

function eventOf({ bytes, start, end }: SseFrame): Members {
  const event = parseSseFrame(bytes, start, end)
  const data = event === null ? null : parseJson(event.data)
  return isRecord(data) ? data : {}
}
