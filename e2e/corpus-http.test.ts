import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { CLIENT_CALLS, CLIENT_IDS } from '../packages/gateway/src/testing/client-calls.ts'
import {
  type Harness,
  leftovers,
  NOTHING_LEFT,
  openRaw,
  startHarness,
} from '../packages/gateway/src/testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../packages/gateway/src/testing/scripted-upstream.ts'

type Case = {
  readonly id: string
  readonly raw: string
  readonly expect: string
  readonly note: string
}

const corpus: { readonly cases: readonly Case[]; readonly count: number } = JSON.parse(
  readFileSync(new URL('./corpora/http-smuggling/cases.json', import.meta.url), 'utf8'),
)
const WAIT = { timeout: 10_000, interval: 2 }
const PROBE = 'GET /healthz HTTP/1.1\r\nHost: gw.test\r\n\r\n'

let upstream: ScriptedUpstream
let harness: Harness
const passed: string[] = []
beforeAll(async () => {
  const answer = wholeAnswer(200, '{"choices":[]}')
  upstream = await startScriptedUpstream(({ socket }) => void socket.write(answer))
  harness = await startHarness({
    upstreamUrl: upstream.url,
    provider: { protocol: [...CLIENT_IDS] },
    config: { server: { body_idle_timeout: '200ms' } },
  })
})
afterAll(async () => {
  process.stdout.write(`http-smuggling: ${passed.length} of ${corpus.cases.length} as expected\n`)
  await harness.close()
  await upstream.close()
})

type Outcome = {
  /** Statuses of the answers, without that of the probe. */
  readonly statuses: readonly number[]
  readonly text: string
  readonly closed: boolean
}

/**
 * Sends the bytes and, once something was answered, a probe. Answers come in order, so the probe's answer (or the end of
 * the connection) proves that everything before it was dealt with.
 */
async function send(raw: string): Promise<Outcome> {
  const client = await openRaw(harness.port)
  client.socket.write(Buffer.from(raw.replaceAll('tk_test', harness.secret), 'latin1'))
  await vi.waitFor(
    () => expect(client.ended() || client.text().includes('HTTP/1.1 ')).toBe(true),
    WAIT,
  )
  if (!client.ended()) client.socket.write(PROBE)
  const probed = (): boolean => client.text().includes('{"status":"ok"}')
  await vi.waitFor(() => expect(client.ended() || probed()).toBe(true), WAIT)
  const closed = !probed()
  if (closed) await client.closed
  client.socket.destroy()
  const text = client.text()
  const found = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
  return { statuses: closed ? found : found.slice(0, -1), text, closed }
}

const refused = ({ statuses, closed }: Outcome): boolean =>
  closed && statuses.length <= 1 && statuses.every((status) => status >= 400)

/** Node's parser takes several spaces in a request line for one. There is only one way to read them, so they are let be. */
const LENIENT: ReadonlySet<string> = new Set(['rl-2sp'])

const CHECKS: Readonly<Record<string, (outcome: Outcome) => boolean>> = {
  reject: refused,
  incomplete: refused,
  // Behind the one answer only the parser's own refusal of what is no request may follow.
  one: ({ statuses }) => statuses.length === 1 || (statuses.length === 2 && statuses[1] === 400),
  two: ({ statuses, text }) => statuses.length === 1 && text.includes('{"status":"ok"}'),
  'one-or-reject': (outcome) => outcome.statuses.length === 1 || refused(outcome),
  'two-or-reject': (outcome) => outcome.statuses.length === 2 || refused(outcome),
}

const CHAT_PATH = CLIENT_CALLS['openai-chat'].path
/** Those that name a path of the API, on the paths of the other protocols. */
const elsewhere = CLIENT_IDS.filter((client) => client !== 'openai-chat').flatMap((client) =>
  corpus.cases
    .filter(({ raw }) => raw.includes(CHAT_PATH))
    .map(({ id, raw, expect: expected }) => ({
      client,
      id,
      raw: raw.replaceAll(CHAT_PATH, CLIENT_CALLS[client].path),
      expect: expected,
    })),
)

describe('requests that two readers could read differently', () => {
  it.each(elsewhere)('$client, $id: $expect', async ({ id, raw, expect: expected }) => {
    const outcome = await send(raw)
    const isAsExpected = CHECKS[LENIENT.has(id) ? 'one' : expected]?.(outcome)
    expect(isAsExpected, `${id}: ${JSON.stringify(outcome.statuses)}`).toBe(true)
    expect(upstream.connections()).toBe(0)
    expect(outcome.statuses.every((status) => status < 500)).toBe(true)
  })

  it.each(corpus.cases)('$id: $expect', async ({ id, raw, expect: expected }) => {
    const outcome = await send(raw)
    expect(
      CHECKS[LENIENT.has(id) ? 'one' : expected]?.(outcome),
      `${id}: ${JSON.stringify(outcome.statuses)} closed ${outcome.closed}`,
    ).toBe(true)
    expect(upstream.connections()).toBe(0)
    expect(outcome.statuses.every((status) => status < 500)).toBe(true)
    if (!LENIENT.has(id)) passed.push(id)
  })

  it('of all of them nothing is left', async () => {
    await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT), WAIT)
  })
})
