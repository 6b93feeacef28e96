import { readFileSync } from 'node:fs'
import type { FrameVerdict, StreamTap } from '../contracts/protocol.ts'
import type { Usage } from '../contracts/usage.ts'
import { SseFrameSplitter } from '../lib/sse-frames.ts'

/** Everything that a tap says of one stream. */
export type TapReport = {
  readonly verdicts: string
  readonly complete: boolean
  readonly failed: boolean
  readonly usage: Usage
  readonly model: string | null
  readonly frames: number
  readonly text: string
}

const LETTERS: Readonly<Record<FrameVerdict, string>> = {
  pass: 'p',
  drop: 'd',
  end: 'e',
  idle: 'i',
}

/** Feeds chunks to a tap as the relay does. Verdicts of frames without an event are left out: splits may move them. */
export function replay(tap: StreamTap, chunks: readonly Buffer[]): TapReport {
  const splitter = new SseFrameSplitter(1 << 24)
  let verdicts = ''
  const read = (bytes: Buffer, start: number, end: number): void => {
    const verdict = tap.readFrame({ bytes, start, end })
    if (/[^\s]/.test(bytes.toString('latin1', start, end))) verdicts += LETTERS[verdict]
  }
  for (const chunk of chunks) splitter.push(chunk, read)
  const rest = splitter.rest()
  if (rest.length > 0) read(rest, 0, rest.length)
  return {
    verdicts,
    complete: tap.complete(),
    failed: tap.failed(),
    usage: tap.usage(),
    model: tap.servedModel(),
    frames: tap.outputFrames(),
    text: tap.outputText(),
  }
}

/** Whole, byte by byte, and cut in two at every place. */
export function* everySplit(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes]
  yield Array.from(bytes, (byte) => Buffer.from([byte]))
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)]
}

/** How many splits of a stream make a new tap say something else than the whole. */
export function splitsThatDiffer(newTap: () => StreamTap, bytes: Buffer): number {
  const whole = JSON.stringify(replay(newTap(), [bytes]))
  let count = 0
  for (const chunks of everySplit(bytes)) {
    if (JSON.stringify(replay(newTap(), chunks)) !== whole) count++
  }
  return count
}

export function fixture(folder: URL, name: string): Buffer {
  return readFileSync(new URL(`./fixtures/${name}`, folder))
}
