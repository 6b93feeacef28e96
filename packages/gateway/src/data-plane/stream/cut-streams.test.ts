import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { CLIENT_CALLS, CLIENT_IDS, type ClientId, frameEnds } from '../../testing/client-calls.ts'
import {
  ask,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import {
  chunk,
  LAST_CHUNK,
  type ScriptedUpstream,
  startScriptedUpstream,
  STREAM_HEAD,
} from '../../testing/scripted-upstream.ts'
import { fixture } from '../../testing/tap-replay.ts'

const FOLDER = new URL('../../protocols/', import.meta.url)
const WAIT = { timeout: 5000, interval: 2 }
/** Streams that are whole on their own. */
const WHOLE = /^(?:text|tools|reasoning|crlf|custom-tool|web-search|blocked|two-candidates)\.sse$/
const CAP_BYTES = 16 * 1024 * 1024
/** What one read of a connection brings. */
const PIECE = 64 * 1024

type How = 'end' | 'drop' | 'reset'
type Script = { readonly pieces: readonly Buffer[]; readonly how: How }

/** The others' native streams are cut in the tests of the pipeline. */
const CASES: readonly (readonly [ClientId, string])[] = (
  ['openai-responses', 'gemini'] as const
).flatMap((id) =>
  readdirSync(new URL(`${id}/fixtures/`, FOLDER))
    .filter((name) => WHOLE.test(name))
    .map((name): readonly [ClientId, string] => [id, name]),
)

let upstream: ScriptedUpstream
let harness: Harness
/** What each request is answered, in the order in which they come. */
let scripts: Script[] = []

beforeAll(async () => {
  upstream = await startScriptedUpstream(({ socket }) => {
    const { pieces, how } = scripts.shift() ?? { pieces: [], how: 'end' }
    socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), ...pieces.map(chunk)]))
    if (how === 'end') socket.end(LAST_CHUNK)
    else if (how === 'drop') socket.end()
    else setTimeout(() => socket.resetAndDestroy(), 10)
  })
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [...CLIENT_IDS] },
  })
})
afterAll(async () => {
  await harness.close()
  await upstream.close()
})

/** Everything is over, and this was written down. */
async function recorded(): Promise<readonly unknown[]> {
  await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT), WAIT)
  return harness.records.splice(0).map(({ complete, errorClass }) => [complete, errorClass])
}

/** How many of a stream's frames may be the last without making it whole. */
function cuttable(id: ClientId, bytes: Buffer, ends: readonly number[]): number {
  if (id !== 'gemini') return ends.length - 1
  return ends.findIndex((at) => /finishReason"|blockReason"/.test(bytes.toString('latin1', 0, at)))
}

describe.each(CASES)('%s %s', (id, name) => {
  const { stream, end, failure } = CLIENT_CALLS[id]
  const bytes = fixture(new URL(`${id}/`, FOLDER), name)
  const ends = frameEnds(bytes)

  it('passes byte for byte when it is whole', async () => {
    scripts = [{ pieces: [bytes], how: 'end' }]
    const answer = await ask(harness, stream)
    expect(answer.body.equals(bytes)).toBe(true)
    expect(await recorded()).toEqual([[true, null]])
  })

  it('never ends well when it is cut, at whichever event', async () => {
    const cuts = ends.slice(0, cuttable(id, bytes, ends)).flatMap((at): Script[] => [
      { pieces: [bytes.subarray(0, at)], how: 'end' },
      { pieces: [bytes.subarray(0, at + 9)], how: 'end' },
      { pieces: [bytes.subarray(0, at)], how: 'drop' },
      { pieces: [bytes.subarray(0, at)], how: 'reset' },
    ])
    scripts = [...cuts]
    const answers = await Promise.all(cuts.map(() => ask(harness, stream)))
    const wrong = answers.filter(({ status, body, aborted }) => {
      const text = body.toString()
      return aborted || status !== 200 || end.test(text) || !failure.test(text)
    })
    expect(wrong).toEqual([])
    expect(await recorded()).toEqual(cuts.map(() => [false, 'upstream_truncated']))
  })
})

function huge(sizeBytes: number): Buffer {
  return Buffer.from(`data: {"x":"${'y'.repeat(sizeBytes - 16)}"}\n\n`)
}

function piecesOf(bytes: Buffer): readonly Buffer[] {
  const list: Buffer[] = []
  for (let at = 0; at < bytes.length; at += PIECE) list.push(bytes.subarray(at, at + PIECE))
  return list
}

describe.each(CLIENT_IDS)('a line of %s', (id) => {
  const { stream, sse, failure } = CLIENT_CALLS[id]
  const first = sse.subarray(0, frameEnds(sse)[0])
  const rest = sse.subarray(first.length)

  it('just below 16 MiB passes, in linear time', async () => {
    const line = huge(CAP_BYTES)
    scripts = [{ pieces: [first, ...piecesOf(line), rest], how: 'end' }]
    const startedMs = performance.now()
    const answer = await ask(harness, stream)
    // Quadratic work over 256 pieces would take minutes.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect(answer.body.equals(Buffer.concat([first, line, rest]))).toBe(true)
    expect(await recorded()).toEqual([[true, null]])
  })

  it('beyond it is an error, not memory', async () => {
    scripts = [{ pieces: [first, ...piecesOf(huge(CAP_BYTES + 2 * PIECE)), rest], how: 'end' }]
    const text = (await ask(harness, stream)).body.toString()
    expect(text).toMatch(failure)
    expect(text.length).toBeLessThan(10_000)
    expect(await recorded()).toEqual([[false, 'upstream_invalid']])
  })
})
