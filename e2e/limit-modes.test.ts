import { afterAll, expect, it } from 'vitest'
import { askOf, call } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

afterAll(closeAll)

const WINDOW = { unit: 'requests', algorithm: 'fixed', amount: 1, window: '24h' }

/** The data of the events of a type that came so far. */
async function eventsOf(gateway: Gateway, type: string): Promise<readonly unknown[]> {
  const leaving = new AbortController()
  const response = await fetch(`${gateway.adminUrl}/admin/v1/events?type=${type}&last_event_id=0`, {
    headers: { authorization: `Bearer ${gateway.adminToken}` },
    signal: leaving.signal,
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const timer = setTimeout(() => leaving.abort(), 500)
  try {
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      text += part.value
    }
  } catch {
    // The stream has no end of its own.
  }
  clearTimeout(timer)
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '').data)
}

it.each([1, 2])('warn and shadow let pass and say so, with %i workers', async (workers) => {
  const sandbox = await startSandboxProcess()
  const gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      server: { workers },
      providers: { local: sandbox.provider },
      policy: {
        default_provider: 'local',
        limits: [
          { ...WINDOW, id: 'told', scope: 'key', mode: 'warn' },
          { ...WINDOW, id: 'told-late', scope: 'provider', mode: 'warn' },
          { ...WINDOW, id: 'counted', scope: 'global', mode: 'shadow' },
        ],
      },
    },
  })
  const { key, id } = await gateway.admin.createKey()
  const { path, body } = askOf({ model: 'words-3' })
  const answers = []
  for (let i = 0; i < 3; i++) {
    answers.push(await call(`${gateway.proxyUrl}${path}`, { key, body }))
  }
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  const warnings = answers.map(({ headers }) => headers['x-tollgate-limit-warning'])
  expect(warnings).toEqual([undefined, 'told, told-late', 'told, told-late'])
  const events = await waitFor('the events', async () => {
    const all = await eventsOf(gateway, 'limit.exceeded')
    return all.length >= 6 && all
  })
  expect(events).toHaveLength(6)
  const request = { key_id: id, request_id: answers[1]?.headers['x-request-id'] }
  expect(events).toContainEqual({ ...request, limit: 'told', mode: 'warn' })
  expect(events).toContainEqual({ ...request, limit: 'told-late', mode: 'warn' })
  expect(events).toContainEqual({ ...request, limit: 'counted', mode: 'shadow' })
  expect(await eventsOf(gateway, 'rate.exceeded,budget.exceeded')).toEqual([])
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  expect(text).toContain('tollgate_limit_excused_total{limit="told",mode="warn"} 2')
  expect(text).toContain('tollgate_limit_excused_total{limit="counted",mode="shadow"} 2')
})

it('a limit that could match nothing is refused, not forgotten', async () => {
  const gateway = await startGateway({ config: { log: { level: 'warn' } } })
  const tried = async (match: object): Promise<unknown> => {
    const policy = { limits: [{ ...WINDOW, scope: 'key', match }] }
    const { status, body } = await gateway.admin.raw('POST', '/keys', { name: 'k', policy })
    return status === 201 ? 'created' : JSON.stringify(body)
  }
  expect(await tried({ models: [] })).toContain('policy.limits[0].match.models: names nothing')
  expect(await tried({ endpoints: ['chat', 'mesages'] })).toContain('Did you mean \\"messages\\"')
  expect(await tried({ providers: ['opnai'] })).toContain('Did you mean \\"openai\\"')
  expect(await tried({ models: ['gpt-*'], endpoints: ['chat*'], providers: 'open*' })).toBe(
    'created',
  )
})
