import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../contracts/usage.ts'
import { fixture, replay, splitsThatDiffer, type TapReport } from '../../testing/tap-replay.ts'
import { ChatTap } from './chat-tap.ts'

const HERE = new URL('./', import.meta.url)
const MODEL = 'gpt-4o-2024-08-06'
/** `usage` of the recorded streams: 19 in, 4 of them cached; 10 out, 2 of them reasoning. */
const USAGE = {
  ...NO_USAGE,
  inputTokens: 15,
  outputTokens: 10,
  cacheReadTokens: 4,
  reasoningTokens: 2,
  audioInputTokens: 0,
  audioOutputTokens: 0,
}
const SAID = 'Hello é漢😀 "usage":{} data: [DONE]'
const WHOLE = { complete: true, failed: false, model: MODEL }

const STREAMS: readonly (readonly [string, Partial<TapReport>])[] = [
  ['text', { ...WHOLE, verdicts: 'pppppe', usage: NO_USAGE, frames: 3, text: SAID }],
  ['usage-asked', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2, text: 'Hello there' }],
  ['usage-with-content', { ...WHOLE, verdicts: 'pppe', usage: USAGE, frames: 2, text: 'ab' }],
  [
    'tools',
    {
      ...WHOLE,
      verdicts: 'pppppde',
      usage: USAGE,
      frames: 4,
      text: 'weather{"city":"Rome"}time{}',
    },
  ],
  ['azure', { ...WHOLE, model: '', verdicts: 'ppppppde', usage: USAGE, frames: 3, text: SAID }],
  ['reasoning', { ...WHOLE, verdicts: 'pppppe', usage: USAGE, frames: 3, text: 'Let me think42' }],
  ['two-choices', { ...WHOLE, verdicts: 'ppppe', usage: NO_USAGE, frames: 2, text: 'xy' }],
  ['crlf', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2, text: 'Hello there' }],
  ['cr', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2, text: 'Hello there' }],
  ['comments', { ...WHOLE, verdicts: 'pppppppppe', usage: NO_USAGE, frames: 3, text: SAID }],
  ['bom', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2, text: 'Hello there' }],
  ['no-space', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2, text: 'Hello there' }],
  ['spaced-json', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2, text: 'Hello there' }],
  ['no-last-blank-line', { ...WHOLE, verdicts: 'ppppde', usage: USAGE, frames: 2 }],
  ['error-inside', { complete: false, failed: true, verdicts: 'pp', frames: 1, text: 'Hel' }],
  ['error-first', { complete: false, failed: true, verdicts: 'p', frames: 0 }],
]

const tap = () => new ChatTap({ dropUsage: true })
const fromText = (text: string) => replay(tap(), [Buffer.from(text)])
const usageOf = (usage: string) =>
  fromText(`data: {"choices":[],"usage":${usage}}\n\n`).usage.outputTokens
const DELTA = '{"model":"m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}'
const FINISH = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'

describe('ChatTap', () => {
  it.each(STREAMS)('reads the recorded stream %s', (name, report) => {
    expect(replay(tap(), [fixture(HERE, `${name}.sse`)])).toMatchObject(report)
  })

  it.each(STREAMS)('says the same of %s however it is split', (name) => {
    expect(splitsThatDiffer(tap, fixture(HERE, `${name}.sse`))).toBe(0)
  })

  it('drops no usage frame that the client asked for', () => {
    const bytes = fixture(HERE, 'usage-asked.sse')
    expect(replay(new ChatTap({ dropUsage: false }), [bytes]).verdicts).toBe('pppppe')
  })

  it.each([
    ['nothing', ''],
    ['no terminal frame', `data: ${DELTA}\n\ndata: ${FINISH}\n\n`],
    ['no finish reason', `data: ${DELTA}\n\ndata: [DONE]\n\n`],
    ['an empty finish reason', `data: ${FINISH.replace('stop', '')}\n\ndata: [DONE]\n\n`],
    ['the terminal text inside an answer', `data: ${FINISH.replace('stop', '[DONE]')}\n\n`],
  ])('does not take %s for a whole answer', (_what, text) => {
    expect(fromText(text).complete).toBe(false)
  })

  it('takes absurd, negative and fractional counts for none, and zero for zero', () => {
    expect(usageOf('{"completion_tokens":0}')).toBe(0)
    for (const count of ['-1', '1.5', '1e99', '"7"', 'null']) {
      expect(usageOf(`{"completion_tokens":${count}}`)).toBe(null)
    }
  })

  it('reads a frame of very many lines in linear time', () => {
    const lines = 'x: y\r\n'.repeat(100_000)
    const startedMs = performance.now()
    expect(fromText(`${lines}: [DONE]\r\n\r\n`).complete).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })

  it('survives frames that are not JSON', () => {
    expect(fromText('data: {"usage":\n\ndata: \u0000\n\ndata: []\n\n')).toMatchObject({
      complete: false,
      failed: false,
      usage: NO_USAGE,
    })
  })
})
