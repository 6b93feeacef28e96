import type { FrameVerdict, SseFrame, StreamTap, TapOptions } from '../../../contracts/protocol.ts'
import { NO_USAGE, type Usage } from '../../../contracts/usage.ts'
import { scanAnswer } from '../../scan-answer.ts'
import { addUsage, readMediaUsage } from './media-usage.ts'

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const NOT_FOUND = -1

/**
 * Watches the events of one image, speech or transcription. An event that ends in `.completed` or `.done` carries the
 * usage; as many come as answers were asked for. Frames may hold an image, so they are scanned and never parsed whole.
 */
export class EventTap implements StreamTap {
  private readonly choices: number
  private lastUsage: Usage = NO_USAGE
  private completed = 0
  private sawError = false
  private frames = 0

  constructor({ choices = 1 }: TapOptions) {
    this.choices = choices
  }

  readFrame({ bytes, start, end }: SseFrame): FrameVerdict {
    const from = bytes.indexOf(OPEN_OBJECT, start)
    if (from === NOT_FOUND || from >= end) {
      return bytes.toString('latin1', start, end).includes('[DONE]') ? 'end' : 'pass'
    }
    const to = bytes.lastIndexOf(CLOSE_OBJECT, end - 1)
    const event = scanAnswer(bytes, from, to + 1)
    if (event === null) return 'pass'
    const type = event.value('type')
    if (type === 'error' || (event.value('error') ?? null) !== null) this.sawError = true
    if (typeof type !== 'string') return 'pass'
    if (type.endsWith('.delta') || type.endsWith('.partial_image')) this.frames++
    if (!type.endsWith('.done') && !type.endsWith('.completed')) return 'pass'
    this.completed++
    const usage = readMediaUsage(event.value('usage'))
    this.lastUsage = this.completed === 1 ? usage : addUsage(this.lastUsage, usage)
    return this.completed >= this.choices ? 'end' : 'pass'
  }

  complete(): boolean {
    return this.completed > 0 && !this.sawError
  }

  failed(): boolean {
    return this.sawError
  }

  usage(): Usage {
    return this.lastUsage
  }

  servedModel(): null {
    return null
  }

  outputFrames(): number {
    return this.frames
  }

  /** What images and sound count cannot be told from their bytes. */
  outputText(): string {
    return ''
  }
}

/** Watches bytes without frames: nothing can be read of them. */
export const RAW_TAP: StreamTap = {
  readFrame: () => 'pass',
  complete: () => false,
  failed: () => false,
  usage: () => NO_USAGE,
  servedModel: () => null,
  outputFrames: () => 0,
  outputText: () => '',
}
