import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../contracts/usage.ts'
import { fixture, replay, splitsThatDiffer, type TapReport } from '../../testing/tap-replay.ts'
import { ResponsesTap } from './responses-tap.ts'

const HERE = new URL('./', import.meta.url)
/** `usage` of the streams: 19 in, 4 of them cached; 10 out, 2 of them reasoning. */
const USAGE = {
  ...NO_USAGE,
  inputTokens: 15,
  outputTokens: 10,
  cacheReadTokens: 4,
  cacheWrite5mTokens: 0,
  reasoningTokens: 2,
}
const SAID = 'Hello é漢😀 "usage":{} event: response.completed'
const WHOLE = { complete: true, failed: false, model: 'gpt-5-2025-08-07', usage: USAGE }
const TEXT = { ...WHOLE, verdicts: 'pppppppppppe', frames: 3, text: SAID }
const pass = (count: number): string => 'p'.repeat(count)

const STREAMS: readonly (readonly [string, Partial<TapReport>])[] = [
  ['text', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['crlf', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['cr', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['bom', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['no-space', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['no-event-line', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['no-last-blank-line', { ...TEXT, verdicts: `${pass(10)}e` }],
  ['comments', { ...TEXT, verdicts: `${pass(12)}e` }],
  ['tools', { ...WHOLE, verdicts: `${pass(11)}e`, frames: 3, text: '{"city":"Rome"}{}' }],
  ['reasoning', { ...WHOLE, verdicts: `${pass(19)}e`, frames: 4, text: '**Let** methink42' }],
  ['custom-tool', { ...WHOLE, verdicts: `${pass(7)}e`, frames: 2, text: '*** Begin\n+é' }],
  [
    'web-search',
    {
      ...WHOLE,
      usage: { ...USAGE, serverToolCalls: 1 },
      verdicts: `${pass(14)}e`,
      frames: 1,
      text: 'Rome',
    },
  ],
  ['incomplete', { ...WHOLE, verdicts: `${pass(8)}e`, frames: 1, text: 'Hel' }],
  ['failed', { complete: false, failed: true, verdicts: 'ppe', frames: 0, usage: NO_USAGE }],
  ['error-inside', { complete: false, failed: true, verdicts: pass(6), frames: 1, text: 'Hel' }],
  ['error-first', { complete: false, failed: true, verdicts: 'p', frames: 0 }],
]

const tap = () => new ResponsesTap()
const fromText = (text: string) => replay(tap(), [Buffer.from(text)])
const usageOf = (usage: string) =>
  fromText(`event: response.completed\ndata: {"response":{"usage":${usage}}}\n\n`).usage
    .outputTokens

describe('ResponsesTap', () => {
  it.each(STREAMS)('reads the stream %s', (name, report) => {
    expect(replay(tap(), [fixture(HERE, `${name}.sse`)])).toMatchObject(report)
  })

  it.each(STREAMS)('says the same of %s however it is split', (name) => {
    expect(splitsThatDiffer(tap, fixture(HERE, `${name}.sse`))).toBe(0)
  })

  it.each([
    ['nothing', ''],
    ['no terminal event', 'event: response.output_text.done\ndata: {"text":"a"}\n\n'],
    [
      'the terminal name inside an answer',
      'event: response.output_text.delta\ndata: {"delta":"event: response.completed"}\n\n',
    ],
  ])('does not take %s for a whole answer', (_what, text) => {
    expect(fromText(text).complete).toBe(false)
  })

  it('takes absurd, negative and fractional counts for none, and zero for zero', () => {
    expect(usageOf('{"output_tokens":0}')).toBe(0)
    for (const count of ['-1', '1.5', '1e99', '"7"', 'null']) {
      expect(usageOf(`{"output_tokens":${count}}`)).toBe(null)
    }
  })

  it('survives frames that are not JSON', () => {
    const text =
      'event: response.created\ndata: {"x":\n\ndata: \u0000\n\ndata: []\n\nevent: error\ndata: 1\n\n'
    expect(fromText(text)).toMatchObject({ complete: false, usage: NO_USAGE })
  })

  it('reads a frame of very many lines in linear time', () => {
    const startedMs = performance.now()
    expect(fromText(`${'x: y\r\n'.repeat(100_000)}: \r\n\r\n`).complete).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })
})
