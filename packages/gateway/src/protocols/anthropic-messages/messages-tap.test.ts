import { describe, expect, it } from 'vitest'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { fixture, replay, splitsThatDiffer, type TapReport } from '../../testing/tap-replay.ts'
import { MessagesTap } from './messages-tap.ts'

const HERE = new URL('./', import.meta.url)
const MODEL = 'claude-sonnet-4-5-20250929'
const usage = (outputTokens: number | null, more: Partial<Usage> = {}): Usage => ({
  ...NO_USAGE,
  inputTokens: 25,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
  outputTokens,
  ...more,
})
const SAID = 'Hello é漢😀 event: message_stop'
const WHOLE = { complete: true, failed: false, model: MODEL }
const TEXT = { ...WHOLE, verdicts: 'pipppppe', usage: usage(15), frames: 2, text: SAID }

const STREAMS: readonly (readonly [string, Partial<TapReport>])[] = [
  ['text', TEXT],
  ['tools', { ...WHOLE, usage: usage(89), frames: 4, text: 'I check.{"location": "Rome"}' }],
  [
    'thinking',
    {
      ...WHOLE,
      usage: usage(60, { reasoningTokens: 40, serverToolCalls: 3 }),
      frames: 4,
      text: 'First 27*45312231',
    },
  ],
  [
    'cached',
    {
      ...WHOLE,
      usage: usage(9, {
        inputTokens: 3,
        cacheReadTokens: 1000,
        cacheWrite5mTokens: 200,
        cacheWrite1hTokens: 500,
      }),
    },
  ],
  ['null-usage', { ...WHOLE, usage: usage(7) }],
  ['crlf', TEXT],
  ['cr', TEXT],
  ['bom', TEXT],
  ['no-space', TEXT],
  ['comments', { ...WHOLE, usage: usage(15), frames: 2, text: SAID }],
  ['no-last-blank-line', { ...WHOLE, usage: usage(15) }],
  ['error-inside', { complete: false, failed: true, usage: usage(null), frames: 1, text: 'Hel' }],
  ['error-first', { complete: false, failed: true, usage: NO_USAGE, frames: 0 }],
]

describe('MessagesTap', () => {
  it.each(STREAMS)('reads the recorded stream %s', (name, report) => {
    expect(replay(new MessagesTap(), [fixture(HERE, `${name}.sse`)])).toMatchObject(report)
  })

  it.each(STREAMS)('says the same of %s however it is split', (name) => {
    expect(splitsThatDiffer(() => new MessagesTap(), fixture(HERE, `${name}.sse`))).toBe(0)
  })

  it('knows no output count before message_delta: the one in message_start is a placeholder', () => {
    const bytes = fixture(HERE, 'text.sse')
    const cut = bytes.subarray(0, bytes.indexOf('event: message_delta'))
    expect(replay(new MessagesTap(), [cut])).toMatchObject({ complete: false, usage: usage(null) })
  })

  it('adds what a split of cache writes leaves of its total to the five minute kind', () => {
    const later = `event: message_delta\ndata: {"usage":{"output_tokens":1,"cache_creation_input_tokens":900}}\n\n`
    const bytes = fixture(HERE, 'cached.sse')
    const cut = bytes.subarray(0, bytes.indexOf('event: message_delta'))
    expect(replay(new MessagesTap(), [cut, Buffer.from(later)]).usage).toMatchObject({
      cacheWrite5mTokens: 400,
      cacheWrite1hTokens: 500,
    })
  })

  it('reads a frame of very many lines in linear time', () => {
    const startedMs = performance.now()
    replay(new MessagesTap(), [Buffer.from(`${'x: y\r\n'.repeat(100_000)}\r\n`)])
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })
})
