import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import { BROKEN_LETTER } from './answer.ts'
import type { Behaviour } from './behaviour.ts'

/** The way out of one answer: paced, back-pressured, and aware of the reader leaving. */
export type Outlet = {
  /** The reader left before the end. */
  gone(): boolean
  /** Resolves early when the reader leaves. 0: just lets the event loop turn. */
  pause(ms: number): Promise<void>
  write(text: string): Promise<void>
  writeBytes(bytes: Buffer): Promise<void>
  end(): void
}

/** Sizes of the writes of `chunked-weird`, in bytes: they cut code points, escapes and the word `data:`. */
const WEIRD_SIZES: readonly number[] = [1, 2, 3, 5, 8, 13, 1, 1, 34, 7]

export function openOutlet(response: ServerResponse, behaviour: Behaviour): Outlet {
  const gzip = behaviour.gzip ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : null
  gzip?.pipe(response)
  const sink = gzip ?? response
  let gone = false
  let wake: (() => void) | null = null
  response.once('close', () => {
    gone = !response.writableFinished
    wake?.()
  })

  function waitFor(start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve
      start(resolve)
    })
  }

  async function pause(ms: number): Promise<void> {
    if (gone) return
    if (ms <= 0) {
      await nextTurn()
      return
    }
    let timer: NodeJS.Timeout | undefined
    await waitFor((done) => {
      timer = setTimeout(done, ms)
    })
    clearTimeout(timer)
  }

  async function writeBytes(bytes: Buffer | string): Promise<void> {
    if (gone || sink.write(bytes)) return
    await waitFor((done) => sink.once('drain', done))
  }

  async function write(text: string): Promise<void> {
    const bytes = behaviour.badUtf8 ? breakLetters(text) : text
    if (!behaviour.weirdChunks) {
      await writeBytes(bytes)
      return
    }
    for (const part of weirdParts(Buffer.from(bytes))) {
      await writeBytes(part)
      await pause(0)
    }
  }

  return { gone: () => gone, pause, write, writeBytes, end: () => void sink.end() }
}

function weirdParts(bytes: Buffer): readonly Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = WEIRD_SIZES[i % WEIRD_SIZES.length] ?? 1
    parts.push(bytes.subarray(at, at + size))
    at += size
  }
  return parts
}

/** Makes the private-use letter's first byte 0xff, which no UTF-8 text may hold. */
function breakLetters(text: string): Buffer {
  const bytes = Buffer.from(text)
  const letter = Buffer.from(BROKEN_LETTER)
  for (let at = bytes.indexOf(letter); at >= 0; at = bytes.indexOf(letter, at + 1)) {
    bytes[at] = 0xff
  }
  return bytes
}
