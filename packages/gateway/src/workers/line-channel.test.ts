import { duplexPair } from 'node:stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type LineChannel, lineChannel } from './line-channel.ts'

function fixture(): {
  channel: LineChannel
  raw: ReturnType<typeof duplexPair>[1]
  lines: string[]
  own: ReturnType<typeof duplexPair>[0]
} {
  const [own, raw] = duplexPair()
  const lines: string[] = []
  const channel = lineChannel(own, {
    onLine: (line) => lines.push(line),
    onClose: () => lines.push('closed'),
  })
  return { channel, own, raw, lines }
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}

afterEach(() => {
  vi.useRealTimers()
})

describe('a channel of lines', () => {
  it('puts lines together again wherever they were cut, and drops what has no end', async () => {
    const { raw, lines } = fixture()
    const text = `Rone\nS${'x'.repeat(100_000)}\n\nD2\tü€\ncut`
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += 7001) raw.write(bytes.subarray(at, at + 7001))
    raw.end()
    raw.resume()
    await turns()
    expect(lines.map((line) => line.length)).toEqual([4, 100_001, 0, 5, 6])
    expect(lines).toEqual(['Rone', `S${'x'.repeat(100_000)}`, '', 'D2\tü€', 'closed'])
  })

  it('writes once what is sent in one turn, in order, also what could have waited', async () => {
    const { channel, raw } = fixture()
    const chunks: string[] = []
    raw.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
    channel.sendLate('a')
    channel.send('b')
    channel.sendLate('c')
    await turns()
    expect(chunks).toEqual(['a\nb\nc\n'])
  })

  it('what can wait goes out by itself, and with the end', async () => {
    const { channel, raw } = fixture()
    let text = ''
    raw.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    for (let i = 0; i < 3; i++) channel.send(`s${i}`)
    await turns()
    channel.sendLate('late')
    channel.end()
    await turns()
    expect(text).toBe('s0\ns1\ns2\nlate\n')
    const other = fixture()
    const heard = new Promise<string>((resolve) => {
      other.raw.setEncoding('utf8').on('data', resolve)
    })
    other.channel.sendLate('x')
    expect(await heard).toBe('x\n')
  })

  it('a question takes along what could wait; the next one waits for its answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { channel, raw } = fixture()
    const chunks: string[] = []
    raw.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
    channel.sendLate('late')
    await turns()
    expect(chunks).toEqual([])
    channel.ask('one')
    channel.ask('two')
    await turns()
    expect(chunks.splice(0)).toEqual(['late\none\ntwo\n'])
    channel.sendLate('late')
    channel.ask('three')
    channel.answered(1)
    await turns()
    expect(chunks).toEqual([])
    channel.answered(1)
    await turns()
    expect(chunks.splice(0)).toEqual(['late\nthree\n'])
    channel.ask('four')
    await turns()
    expect(chunks).toEqual([])
    channel.send('now')
    await turns()
    expect(chunks.splice(0)).toEqual(['four\nnow\n'])
  })

  it('waits for no answer that does not come, and what can wait goes by itself', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { channel, raw } = fixture()
    const chunks: string[] = []
    raw.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
    for (const step of ['ask', 'ask', 'sendLate'] as const) {
      channel[step](step)
      await turns()
      vi.runAllTimers()
      await turns()
    }
    expect(chunks).toEqual(['ask\n', 'ask\n', 'sendLate\n'])
  })

  it('sends nothing to an end that is gone', async () => {
    const { channel, own, lines } = fixture()
    own.destroy()
    await turns()
    channel.send('nobody')
    await turns()
    expect(lines).toEqual(['closed'])
  })
})
