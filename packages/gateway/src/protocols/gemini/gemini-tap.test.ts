import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../contracts/usage.ts'
import { fixture, replay, splitsThatDiffer, type TapReport } from '../../testing/tap-replay.ts'
import { GeminiTap } from './gemini-tap.ts'

const HERE = new URL('./', import.meta.url)
const TEXT = {
  complete: true,
  failed: false,
  verdicts: 'ppe',
  model: 'gemini-2.5-flash-002',
  frames: 3,
  text: 'Hello é 🙂 "finishReason"',
  usage: {
    ...NO_USAGE,
    inputTokens: 3,
    cacheReadTokens: 4,
    outputTokens: 7,
    reasoningTokens: 2,
  },
}

const STREAMS: readonly (readonly [string, Partial<TapReport>])[] = [
  ['text', TEXT],
  ['crlf', TEXT],
  [
    'tools',
    {
      complete: true,
      verdicts: 'pppep',
      frames: 2,
      usage: { ...NO_USAGE, inputTokens: 20, outputTokens: 18, reasoningTokens: 6 },
    },
  ],
  [
    'blocked',
    {
      complete: true,
      verdicts: 'e',
      frames: 0,
      usage: { ...NO_USAGE, inputTokens: 7, outputTokens: 0 },
    },
  ],
  ['two-candidates', { complete: true, verdicts: 'ppe', frames: 3, text: 'abcd' }],
  [
    'cut',
    { complete: false, failed: false, verdicts: 'p', usage: { ...NO_USAGE, inputTokens: 7 } },
  ],
  ['error-inside', { complete: false, failed: true, verdicts: 'pp', frames: 1, text: 'a' }],
]

describe('GeminiTap', () => {
  it.each(STREAMS)('reads the recorded stream %s', (name, report) => {
    expect(replay(new GeminiTap(), [fixture(HERE, `${name}.sse`)])).toMatchObject(report)
  })

  it.each(STREAMS.map(([name]) => name))('reads %s the same however it is cut', (name) => {
    expect(splitsThatDiffer(() => new GeminiTap(), fixture(HERE, `${name}.sse`))).toBe(0)
  })

  it('is not misled by a text or an argument that looks like the end', () => {
    const part = { functionCall: { name: 'f', args: { a: ['finishReason', 'error'] } } }
    const chunk = {
      candidates: [{ content: { parts: [part, { text: '"finishReason":"STOP"' }] } }],
    }
    const bytes = Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`)
    expect(replay(new GeminiTap(), [bytes])).toMatchObject({ complete: false, failed: false })
  })
})
