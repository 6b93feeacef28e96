import { describe, expect, it } from 'vitest'
import { AwsEventSplitter, parseAwsEvent, writeAwsEvent } from './aws-event-stream.ts'

const MAX = 16 * 1024 * 1024
const EVENT = { ':message-type': 'event', ':event-type': 'contentBlockDelta' }

function frames(
  chunks: readonly Buffer[],
  splitter = new AwsEventSplitter(MAX),
): readonly string[] {
  const found: string[] = []
  for (const chunk of chunks) {
    splitter.push(chunk, (bytes, start, end) => {
      found.push(bytes.subarray(start, end).toString('hex'))
    })
  }
  return found
}

/** The frame of the format's own description: headers of every type would follow the same layout. */
const EMPTY_FRAME = '000000100000000005c248eb7d98c8ff'

describe('AwsEventSplitter', () => {
  const one = writeAwsEvent(EVENT, '{"delta":{"text":"Hé"}}')
  const two = writeAwsEvent({ ':message-type': 'event', ':event-type': 'messageStop' }, '{}')
  const both = Buffer.concat([one, two])
  const expected = [one.toString('hex'), two.toString('hex')]

  it('reads the published frame without headers and payload, and writes the same', () => {
    expect(frames([Buffer.from(EMPTY_FRAME, 'hex')])).toEqual([EMPTY_FRAME])
    expect(writeAwsEvent({}, '').toString('hex')).toBe(EMPTY_FRAME)
  })

  it('finds the same frames however the bytes are cut', () => {
    expect(frames([both])).toEqual(expected)
    expect(frames(Array.from(both, (byte) => Buffer.from([byte])))).toEqual(expected)
    for (let at = 1; at < both.length; at++) {
      expect(frames([both.subarray(0, at), both.subarray(at)])).toEqual(expected)
    }
  })

  it('keeps what is left of a frame that never came', () => {
    const splitter = new AwsEventSplitter(MAX)
    expect(frames([one, two.subarray(0, 20)], splitter)).toEqual(expected.slice(0, 1))
    expect(splitter.rest()).toEqual(two.subarray(0, 20))
    expect(splitter.rest()).toHaveLength(0)
  })

  it('stops at any byte that is not as it was sent', () => {
    for (let at = 0; at < one.length; at++) {
      const broken = Buffer.from(one)
      broken[at] = (broken[at] ?? 0) ^ 1
      const splitter = new AwsEventSplitter(MAX)
      expect(frames([Buffer.concat([broken, two])], splitter), `byte ${at}`).toEqual([])
      expect(splitter.problem).not.toBeNull()
      expect(splitter.push(two, () => {})).toBe(false)
    }
  })

  it('stops at a frame that is larger than allowed, before its bytes come', () => {
    const splitter = new AwsEventSplitter(64)
    expect(splitter.push(one.subarray(0, 12), () => {})).toBe(false)
    expect(splitter.problem).toContain(String(one.length))
  })

  it('takes a large frame in small pieces in linear time', () => {
    const large = writeAwsEvent(EVENT, 'x'.repeat(4 * 1024 * 1024))
    const pieces: Buffer[] = []
    for (let at = 0; at < large.length; at += 64) pieces.push(large.subarray(at, at + 64))
    const startedMs = performance.now()
    expect(frames(pieces)).toHaveLength(1)
    expect(performance.now() - startedMs).toBeLessThan(2000)
  })
})

function parse(frame: Buffer): unknown {
  return parseAwsEvent(frame, 0, frame.length)
}

describe('parseAwsEvent', () => {
  it('reads events, exceptions and errors', () => {
    expect(parse(writeAwsEvent(EVENT, '{"a":1}'))).toEqual({
      kind: 'event',
      name: 'contentBlockDelta',
      data: '{"a":1}',
    })
    const exception = { ':message-type': 'exception', ':exception-type': 'throttlingException' }
    expect(parse(writeAwsEvent(exception, '{"message":"slow"}'))).toEqual({
      kind: 'exception',
      name: 'throttlingException',
      data: '{"message":"slow"}',
    })
    const error = { ':message-type': 'error', ':error-code': '500', ':error-message': 'Oops' }
    expect(parse(writeAwsEvent(error, ''))).toEqual({
      kind: 'exception',
      name: '500',
      data: 'Oops',
    })
  })

  it('steps over headers of other types', () => {
    const name = Buffer.from([1, 0x61])
    const values = ['00', '01', '0201', '030102', '0401020304', `05${'00'.repeat(8)}`, '06000101']
    const more = [`08${'00'.repeat(8)}`, `09${'00'.repeat(16)}`]
    const odd = [...values, ...more].map((hex) => Buffer.concat([name, Buffer.from(hex, 'hex')]))
    const own = writeAwsEvent(EVENT, '')
    const headers = Buffer.concat([...odd, own.subarray(12, own.length - 4)])
    const frame = Buffer.alloc(16 + headers.length)
    frame.writeUInt32BE(frame.length, 0)
    frame.writeUInt32BE(headers.length, 4)
    headers.copy(frame, 12)
    expect(parse(frame)).toMatchObject({ name: 'contentBlockDelta' })
  })

  it('reads nothing beyond a header that says too much of itself', () => {
    for (const hex of ['ff', '0161', '016107', '016107ffff', '0161ee']) {
      const frame = Buffer.alloc(16 + hex.length / 2)
      frame.writeUInt32BE(frame.length, 0)
      frame.writeUInt32BE(hex.length / 2, 4)
      Buffer.from(hex, 'hex').copy(frame, 12)
      expect(parse(frame)).toEqual({ kind: 'event', name: '', data: '' })
    }
    expect(parse(Buffer.alloc(4))).toBeNull()
    expect(parse(Buffer.alloc(16, 0xff))).toBeNull()
  })
})
