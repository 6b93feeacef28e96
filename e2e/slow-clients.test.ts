import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  ask,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  rawPost,
  startHarness,
} from '../packages/gateway/src/testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../packages/gateway/src/testing/scripted-upstream.ts'

const BODY = JSON.stringify({
  model: 'm',
  messages: [{ role: 'user', content: 'x'.repeat(9000) }],
})
const SLOW = 300

let upstream: ScriptedUpstream
let harness: Harness
beforeAll(async () => {
  const answer = wholeAnswer(200, '{"choices":[]}')
  upstream = await startScriptedUpstream(({ socket }) => void socket.write(answer))
  harness = await startHarness({
    upstreamUrl: upstream.url,
    config: { server: { headers_timeout: '1s', body_idle_timeout: '30s' } },
  })
})
afterAll(async () => {
  await harness.close()
  await upstream.close()
})

/** Writes a byte now and then until the connection ends; gives what came and how long it took. */
async function trickle(bytes: string, everyMs: number): Promise<{ text: string; tookMs: number }> {
  const client = await openRaw(harness.port)
  const startedMs = performance.now()
  let at = 0
  const timer = setInterval(() => {
    if (!client.ended()) client.socket.write(bytes.charAt(at++))
  }, everyMs)
  await client.closed
  clearInterval(timer)
  return { text: client.text(), tookMs: performance.now() - startedMs }
}

describe('clients that are slow on purpose', () => {
  it('heads are given up, and nobody else waits for them', async () => {
    const slow = Array.from({ length: SLOW }, () => trickle(rawPost(harness, BODY), 200))
    const waits: number[] = []
    for (let i = 0; i < 50; i++) {
      const startedMs = performance.now()
      expect((await ask(harness, { body: BODY })).status).toBe(200)
      waits.push(performance.now() - startedMs)
    }
    const all = await Promise.all(slow)
    for (const { text, tookMs } of all) {
      expect(text).toMatch(/^HTTP\/1\.1 408 |^$/)
      expect(tookMs).toBeLessThan(10_000)
    }
    const median = waits.toSorted((a, b) => a - b)[25] ?? 0
    process.stdout.write(`beside ${SLOW} slow heads a call took ${median.toFixed(1)} ms (median)\n`)
    expect(median).toBeLessThan(250)
  })

  it('bodies must keep up a minimum rate', async () => {
    const before = upstream.exchanges.length
    const [head = '', body = ''] = rawPost(harness, BODY).split(/(?<=\r\n\r\n)/)
    const client = await openRaw(harness.port)
    client.socket.write(head)
    let at = 0
    const timer = setInterval(() => {
      if (!client.ended()) client.socket.write(body.charAt(at++))
    }, 50)
    await client.closed
    clearInterval(timer)
    expect(client.text()).toMatch(/^HTTP\/1\.1 408 /)
    expect(client.text()).toContain('"code":"request_timeout"')
    expect(upstream.exchanges.length).toBe(before)
    await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT))
  })
})
