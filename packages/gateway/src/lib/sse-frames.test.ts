import { describe, expect, it } from 'vitest'
import { parseSseFrame, SseFrameSplitter } from './sse-frames.ts'

function run(chunks: readonly Buffer[]): { frames: string[]; rest: string; bytes: Buffer } {
  const splitter = new SseFrameSplitter(1024 * 1024)
  const frames: Buffer[] = []
  for (const chunk of chunks) {
    splitter.push(chunk, (bytes, start, end) => {
      frames.push(Buffer.from(bytes.subarray(start, end)))
    })
  }
  const rest = splitter.rest()
  return {
    frames: frames.map((frame) => frame.toString('latin1')),
    rest: rest.toString('latin1'),
    bytes: Buffer.concat([...frames, rest]),
  }
}

function everySplit(bytes: Buffer): Buffer[][] {
  const splits: Buffer[][] = [[...bytes].map((byte) => Buffer.from([byte]))]
  for (let i = 1; i < bytes.length; i++) splits.push([bytes.subarray(0, i), bytes.subarray(i)])
  return splits
}

function eventsOf(chunks: readonly Buffer[]): readonly unknown[] {
  return run(chunks)
    .frames.map((frame) => Buffer.from(frame, 'latin1'))
    .map((frame) => parseSseFrame(frame, 0, frame.length))
    .filter((event) => event !== null)
}

const STREAMS = [
  'data: a\n\ndata: b\n\n',
  'data: a\r\n\r\ndata: b\r\n\r\n',
  'data: a\r\rdata: b\r\r',
  'data: a\ndata: b\r\ndata: c\r\n\ndata: d\n\r\n',
  'event: x\ndata: é漢😀\n\n: comment\n\ndata: [DONE]\n\n',
  '\n\n\ndata: x\n\n\n\n',
  'data: unfinished\n',
]

describe('SseFrameSplitter', () => {
  it.each(STREAMS)('gives back every byte of %j, however it is split', (text) => {
    const bytes = Buffer.from(text)
    for (const chunks of everySplit(bytes)) expect(run(chunks).bytes.equals(bytes)).toBe(true)
  })

  it.each(STREAMS)('finds the same events in %j, however it is split', (text) => {
    const bytes = Buffer.from(text)
    const whole = eventsOf([bytes])
    for (const chunks of everySplit(bytes)) expect(eventsOf(chunks)).toEqual(whole)
  })

  it('keeps a frame that is not ended as the rest', () => {
    expect(run([Buffer.from('data: a\n\ndata: b')])).toMatchObject({
      frames: ['data: a\n\n'],
      rest: 'data: b',
    })
  })

  it('says when a frame is larger than allowed', () => {
    const splitter = new SseFrameSplitter(10)
    expect(splitter.push(Buffer.from('data: a\n\n'), () => {})).toBe(true)
    expect(splitter.push(Buffer.from('data: 0123456789'), () => {})).toBe(false)
  })
})

describe('parseSseFrame', () => {
  it.each([
    ['data: a\n\n', { name: 'message', data: 'a' }],
    ['data:a\n\n', { name: 'message', data: 'a' }],
    ['data: a\ndata:  b\n\n', { name: 'message', data: 'a\n b' }],
    ['event: ping\ndata: {}\n\n', { name: 'ping', data: '{}' }],
    ['\uFEFFdata: a\n\n', { name: 'message', data: 'a' }],
    ['data\n\n', { name: 'message', data: '' }],
    [': comment\n\n', null],
    ['event: x\n\n', null],
  ])('reads %j', (text, event) => {
    const bytes = Buffer.from(text)
    expect(parseSseFrame(bytes, 0, bytes.length)).toEqual(event)
  })
})
