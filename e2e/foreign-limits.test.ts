import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askOf, call, type CallAnswer } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'

let gateway: Gateway

beforeAll(async () => {
  gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { sandbox: {} },
      server: { trusted_proxies: ['127.0.0.0/8', '::1/128'] },
      policy: { trust_scope_headers: true },
    },
    env: {
      CAP_TEAM: '300',
      RATE_TEAM: '0',
      TOKENHUB_RATE_LIMIT_RPS: '1',
      TOKENHUB_RATE_LIMIT_BURST: '3',
    },
  })
})
afterAll(closeAll)

function ask(key: string, headers: Record<string, string>): Promise<CallAnswer> {
  const { path, body } = askOf({ model: 'sandbox-mini', maxTokens: 100 })
  return call(`${gateway.proxyUrl}${path}`, { key, body, headers })
}

async function bucket(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${gateway.adminUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${gateway.adminToken}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return await response.json()
}

describe('limits of other gateways, in a running server', () => {
  it('a bucket per team from the environment, raised for one team at run time', async () => {
    const { key } = await gateway.admin.createKey()
    const from = (team: string, ip: string): Promise<CallAnswer> =>
      ask(key, { 'x-team-id': team, 'x-forwarded-for': ip })
    expect((await from('red', '10.0.0.1')).status).toBe(200)
    const shown = await bucket('GET', '/buckets/team/red')
    expect(shown).toMatchObject({ scope: 'team:red', bucket: { capacity: 300, refillPerSec: 0 } })
    await bucket('POST', '/config/budget', { scope: 'team', id: 'blue', capacity: 1 })
    const refused = await from('blue', '10.0.0.2')
    expect(refused.status).toBe(400)
    expect(JSON.parse(refused.text)).toMatchObject({ error: { limit: { id: 'tokenguard.team' } } })
    await bucket('POST', '/config/budget', { scope: 'team', id: 'blue', capacity: 5000 })
    expect((await from('blue', '10.0.0.2')).status).toBe(200)
  })

  it('a rate per address, as trusted proxies tell it', async () => {
    const { key } = await gateway.admin.createKey()
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) {
      statuses.push((await ask(key, { 'x-forwarded-for': '10.9.9.9' })).status)
    }
    expect(statuses).toEqual([200, 200, 200, 429])
    expect((await ask(key, { 'x-forwarded-for': '10.9.9.8' })).status).toBe(200)
  })

  it('says on the command line which limits a request would meet', async () => {
    const { id } = await gateway.admin.createKey({ subject: { team: 'blue' } })
    const { out } = await gateway.cli('limit', 'explain', id, '--model', 'sandbox-mini', '--json')
    expect(JSON.parse(out)).toMatchObject({
      key: { id },
      limits: [
        { id: 'tokenhub.ip', outcome: 'depends' },
        { id: 'tokenguard.team', value: 'blue', amount: 5000, from: ['policy'] },
      ],
    })
    const text = await gateway.cli('limit', 'explain', id, '--output-tokens', '99999999')
    expect(text.out).toContain('verdict')
  })
})
