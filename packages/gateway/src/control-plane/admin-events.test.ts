import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { createAdminApp } from './admin-app.ts'
import { startAdminServer } from './admin-server.ts'
import { codeOf, readAnswer } from './testing/admin-client.ts'
import { TOKEN } from './testing/test-control.ts'
import { useControl, type UsedControl } from './testing/use-control.ts'

type Stream = {
  /** Everything sent until `pattern` occurs. */
  readonly until: (pattern: string) => Promise<string>
  readonly leave: () => Promise<void>
}

async function listen(
  used: UsedControl,
  path = '/admin/v1/events',
  headers: Readonly<Record<string, string>> = {},
): Promise<Stream> {
  const app = createAdminApp(used.control(), { heartbeatMs: 20 })
  const response = await app.request(path, {
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
  })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  return streamOf(response)
}

function streamOf(response: Response): Stream {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  return {
    async until(pattern) {
      while (!text.includes(pattern)) {
        const chunk = await reader?.read()
        if (chunk === undefined || chunk.done) throw new Error(`ended after ${text}`)
        text += decoder.decode(chunk.value)
      }
      return text
    },
    leave: async () => reader?.cancel(),
  }
}

describe('events', () => {
  const used = useControl('each', { providers: { acme: {} } })

  it('come with id, type and time', async () => {
    const stream = await listen(used)
    used.control().events.emit('key.created', { key_id: 'key_1' })
    const text = await stream.until('key_1')
    expect(text).toMatch(/^retry: \d+\n\nid: 1\nevent: key\.created\ndata: \{"id":1,/)
    const data: unknown = JSON.parse(text.slice(text.indexOf('data: ') + 6))
    expect(data).toMatchObject({ id: 1, type: 'key.created', data: { key_id: 'key_1' } })
    await stream.leave()
  })

  it('come for changes by the API', async () => {
    const stream = await listen(used)
    await used.call('POST', '/keys', { name: 'laptop' })
    expect(await stream.until('laptop')).toContain('event: key.created')
    await stream.leave()
  })

  it('are replayed after the last id that was seen', async () => {
    for (const name of ['one', 'two', 'three']) used.control().events.emit('key.updated', { name })
    const stream = await listen(used, '/admin/v1/events', { 'last-event-id': '1' })
    used.control().events.emit('key.updated', { name: 'four' })
    const text = await stream.until('four')
    expect([...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id)).toEqual(['2', '3', '4'])
    await stream.leave()
    const byQuery = await listen(used, '/admin/v1/events?last_event_id=3')
    expect(await byQuery.until('four')).not.toContain('three')
    await byQuery.leave()
  })

  it('are filtered by type', async () => {
    const stream = await listen(used, '/admin/v1/events?type=key.created,limit.reset')
    used.control().events.emit('request.completed', { name: 'noise' })
    used.control().events.emit('limit.reset', { limit: 'a' })
    expect(await stream.until('limit.reset')).not.toContain('noise')
    await stream.leave()
  })

  it('come with heartbeats in between, which have no id', async () => {
    const stream = await listen(used)
    const text = await stream.until('event: heartbeat\ndata: {}\n\n')
    expect(text).not.toContain('id: ')
    await stream.leave()
  })

  it('drop a listener that does not read', async () => {
    const response = await createAdminApp(used.control()).request('/admin/v1/events', {
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    for (let i = 0; i < 5000; i++) used.control().events.emit('key.updated', { i })
    await expect(streamOf(response).until('never')).rejects.toThrow('too slow')
  })

  it('are given to so many listeners only, and a place is free again when one leaves', async () => {
    const app = createAdminApp(used.control())
    const open = (): Promise<Response> =>
      Promise.resolve(
        app.request('/admin/v1/events', { headers: { authorization: `Bearer ${TOKEN}` } }),
      )
    const responses = await Promise.all(Array.from({ length: 100 }, open))
    expect(responses.every(({ status }) => status === 200)).toBe(true)
    expect((await open()).status).toBe(503)
    await responses[0]?.body?.cancel()
    expect((await open()).status).toBe(200)
  })
})

describe('listening for events that is refused', () => {
  const used = useControl('one', { providers: { acme: {} } })

  it.each([
    ['?type=key.creatd', {}, 'type'],
    ['?last_event_id=x', {}, 'last_event_id'],
    ['', { 'last-event-id': '-1' }, 'last_event_id'],
    ['?foo=1', {}, 'foo'],
  ])('refuse %s %j', async (query, headers, path) => {
    const response = await createAdminApp(used.control()).request(`/admin/v1/events${query}`, {
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    })
    const answer = await readAnswer(response)
    expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_request'])
    expect(answer.body).toMatchObject({ error: { path } })
  })
})

describe('the server', () => {
  const used = useControl('one', { providers: { acme: {} } })

  it('serves the app, and ends streams when it closes', async () => {
    const server = await startAdminServer(used.control(), { host: '127.0.0.1', port: 0 })
    const headers = { authorization: `Bearer ${TOKEN}` }
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
    expect((await fetch(`${server.url}/admin/v1/keys`)).status).toBe(401)
    const made = await fetch(`${server.url}/admin/v1/keys`, {
      method: 'POST',
      headers,
      body: '{"name":"a"}',
    })
    expect(made.status).toBe(201)
    const events = await fetch(`${server.url}/admin/v1/events?last_event_id=0`, { headers })
    const stream = streamOf(events)
    await stream.until('key.created')
    const startedAt = Date.now()
    await server.close()
    expect(Date.now() - startedAt).toBeLessThan(1900)
    await expect(stream.until('never')).rejects.toThrow('ended')
  })

  it('refuses a rebound name and a large body', async () => {
    const server = await startAdminServer(used.control(), { host: '127.0.0.1', port: 0 })
    const { port } = new URL(server.url)
    const rebound = await statusOf(Number(port), { host: 'evil.example' }, '')
    expect(rebound).toBe(403)
    const headers = { authorization: `Bearer ${TOKEN}`, 'transfer-encoding': 'chunked' }
    const large = await statusOf(Number(port), headers, `{"name":"${'x'.repeat(1_100_000)}"}`)
    expect(large).toBe(413)
    await server.close()
  })

  it('does not keep a listener of events that is gone', async () => {
    const server = await startAdminServer(used.control(), { host: '127.0.0.1', port: 0 })
    let subscribed = 0
    const { events } = used.control()
    const counted = {
      ...used.control(),
      events: {
        ...events,
        subscribe: (...args: Parameters<typeof events.subscribe>) => {
          subscribed += 1
          const end = events.subscribe(...args)
          return () => {
            subscribed -= 1
            end()
          }
        },
      },
    }
    const second = await startAdminServer(counted, { host: '127.0.0.1', port: 0 })
    const leaving = new AbortController()
    await fetch(`${second.url}/admin/v1/events`, {
      headers: { authorization: `Bearer ${TOKEN}` },
      signal: leaving.signal,
    })
    expect(subscribed).toBe(1)
    leaving.abort()
    await expect.poll(() => subscribed).toBe(0)
    await Promise.all([server.close(), second.close()])
  })

  it('does not listen where others reach it without a token of the operator', async () => {
    await expect(startAdminServer(used.control(), { host: '0.0.0.0', port: 0 })).rejects.toThrow(
      'admin.token',
    )
  })

  it('says that a port is taken', async () => {
    const server = await startAdminServer(used.control(), { host: '127.0.0.1', port: 0 })
    const port = Number(new URL(server.url).port)
    await expect(startAdminServer(used.control(), { host: '127.0.0.1', port })).rejects.toThrow(
      'EADDRINUSE',
    )
    await server.close()
  })
})

/** With headers that `fetch` does not let one set. */
function statusOf(
  port: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path: '/admin/v1/keys', method: 'POST', headers },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}
