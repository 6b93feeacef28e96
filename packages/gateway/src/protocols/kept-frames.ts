import { parseSseFrame, type SseEvent } from '../lib/sse-frames.ts'

/** Enough for a long answer; a longer one is counted by its frames beyond this. Characters. */
const MAX_KEPT_CHARS = 256 * 1024

/**
 * Frames that carried output, kept as raw text in case the provider never reports usage.
 *
 * Reading them is left until that happens, because parsing every chunk would be most of a stream's cost.
 */
export class KeptFrames {
  count = 0
  private readonly frames: string[] = []
  private keptChars = 0

  /** `frame` is the frame's bytes as latin1 text. Hot. */
  add(frame: string): void {
    this.count++
    if (this.keptChars > MAX_KEPT_CHARS) return
    this.frames.push(frame)
    this.keptChars += frame.length
  }

  /** The kept output as one text; `read` takes the text out of one parsed frame. */
  text(read: (event: SseEvent) => string): string {
    let text = ''
    for (const frame of this.frames) {
      const bytes = Buffer.from(frame, 'latin1')
      const event = parseSseFrame(bytes, 0, bytes.length)
      if (event !== null) text += read(event)
    }
    return text
  }
}

/** Parsed JSON, or null: a provider's frame may hold anything. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
