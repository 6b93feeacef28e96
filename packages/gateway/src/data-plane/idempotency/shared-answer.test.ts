import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type AnswerReader, SharedAnswer } from './shared-answer.ts'

/** Takes as much as it is given leave to. */
class FakeReader implements AnswerReader {
  at = 0
  readonly got: Buffer[] = []
  leave = 0
  destroyed = false
  readonly #answer: SharedAnswer

  constructor(answer: SharedAnswer) {
    this.#answer = answer
  }

  get blocked(): boolean {
    return this.leave === 0
  }

  more(): void {
    while (this.leave > 0) {
      const chunk = this.#answer.chunk(this.at)
      if (chunk === null) return
      this.at += 1
      this.leave -= 1
      this.got.push(chunk)
    }
  }

  destroy(): void {
    this.destroyed = true
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), size: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'join' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      who: fc.nat(5),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), who: fc.nat(5) }) },
)

it('gives every reader every byte in its order, whenever it joins and however slow it is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 400 }),
      async (steps, maxBytes) => {
        const answer = new SharedAnswer({ maxBytes, beforeEnd: async () => {} })
        const readers: FakeReader[] = []
        let next = 0
        let written = Buffer.alloc(0)
        const bytes = (size: number): Buffer => {
          const chunk = Buffer.from(Array.from({ length: size }, () => next++ % 251))
          written = Buffer.concat([written, chunk])
          return chunk
        }
        answer.writeHead(200, [])
        for (const one of steps) {
          const reader = 'who' in one ? readers[one.who % Math.max(1, readers.length)] : undefined
          if (one.kind === 'write') answer.write(bytes(one.size))
          else if (one.kind === 'join') {
            // Who comes after the first bytes were dropped is not let in.
            if (answer.tooLarge) continue
            const joining = new FakeReader(answer)
            readers.push(joining)
            answer.join(joining)
          } else if (reader !== undefined && one.kind === 'take') {
            reader.leave += one.count
            reader.more()
            answer.moved()
          } else if (reader !== undefined) {
            readers.splice(readers.indexOf(reader), 1)
            answer.leave(reader)
          }
        }
        answer.end(bytes(7))
        await answer.closing
        for (const reader of readers) {
          reader.leave = Infinity
          reader.more()
          answer.moved()
          expect(Buffer.concat(reader.got).equals(written)).toBe(true)
        }
        expect(answer.tooLarge).toBe(written.length > maxBytes)
      },
    ),
    { numRuns: 1500 },
  )
})

it('waits for the quickest reader while all is kept, and for the slowest when it is not', () => {
  const answer = new SharedAnswer({ maxBytes: 100, beforeEnd: async () => {} })
  const [slow, quick] = [new FakeReader(answer), new FakeReader(answer)]
  answer.join(slow)
  answer.join(quick)
  expect(answer.write(Buffer.alloc(10))).toBe(false)
  quick.leave = 100
  quick.more()
  expect(answer.write(Buffer.alloc(10))).toBe(true)
  expect(answer.write(Buffer.alloc(100))).toBe(false)
  let drained = 0
  answer.once('drain', () => (drained += 1))
  answer.moved()
  expect(drained).toBe(0)
  slow.leave = 100
  slow.more()
  answer.moved()
  expect(drained).toBe(1)
  answer.leave(slow)
  answer.leave(quick)
  expect(answer.write(Buffer.alloc(1000))).toBe(true)
})
