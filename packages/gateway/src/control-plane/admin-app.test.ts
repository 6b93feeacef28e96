import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isRecord } from '../lib/is-record.ts'
import { StoreError } from '../errors/store-error.ts'
import { ADMIN_PREFIX, adminRoutes, createAdminApp } from './admin-app.ts'
import { bindProblem, isLoopbackHost } from './admin-auth.ts'
import { adminClient, codeOf, readAnswer, type Answer } from './testing/admin-client.ts'
import { CREDENTIAL, testControl, TOKEN, type TestControl } from './testing/test-control.ts'

let place: TestControl
beforeAll(async () => {
  place = await testControl({ providers: { acme: {} } })
})
afterAll(() => place.remove())

const OWN = { authorization: `Bearer ${TOKEN}` }

async function ask(
  path: string,
  init: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  return readAnswer(await createAdminApp(place.control).request(path, init))
}

/** As a request would write it. */
function filled(path: string): string {
  return ADMIN_PREFIX + path.replaceAll(/\{\w+\}/g, 'x')
}

describe('the token', () => {
  it.each(adminRoutes().map(({ method, path }) => [method, filled(path)]))(
    'is needed for %s %s',
    async (method, path) => {
      const answer = await ask(path, { method })
      expect([answer.status, codeOf(answer)]).toEqual([401, 'unauthorized'])
      expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    },
  )

  it.each([
    'Bearer wrong',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Basic ${TOKEN}`,
    TOKEN,
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN} ${TOKEN}`,
  ])('is not %j', async (authorization) => {
    expect((await ask('/admin/v1/keys', { headers: { authorization } })).status).toBe(401)
  })

  it('may be given with any spelling of the scheme', async () => {
    const headers = { authorization: `bearer ${TOKEN}` }
    expect((await ask('/admin/v1/keys', { headers })).status).toBe(200)
  })

  it('hides which paths exist', async () => {
    for (const path of ['/admin', '/admin/v1', '/admin/v1/nope', '/admin/v2/keys']) {
      expect((await ask(path)).status).toBe(401)
    }
  })

  it('lets nobody in when it is empty', async () => {
    const app = createAdminApp({ ...place.control, adminToken: '' })
    for (const authorization of ['Bearer ', 'Bearer', '']) {
      const response = await app.request('/admin/v1/keys', { headers: { authorization } })
      expect(response.status).toBe(401)
    }
  })
})

describe('pages of other sites', () => {
  it.each([
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://localhost:1234' }, 403],
    [{ origin: 'not an origin' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ host: 'evil.example', origin: 'http://evil.example' }, 403],
    [{ host: 'evil.example:8081' }, 403],
    [{ host: 'localhost.evil.example' }, 403],
    [{ host: '127.0.0.1.evil.example' }, 403],
    [{ host: '127.0.0.1:8081' }, 200],
    [{ host: 'localhost:8081', origin: 'http://localhost:8081' }, 200],
    [{ host: '[::1]:8081', origin: 'http://[::1]:8081' }, 200],
    [{ host: 'LOCALHOST:8081' }, 200],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
  ])('%j → %i', async (headers, status) => {
    for (const path of ['/admin/v1/keys', '/metrics']) {
      expect((await ask(path, { headers: { ...OWN, ...headers } })).status).toBe(status)
    }
  })

  it('get no CORS headers', async () => {
    const answer = await ask('/admin/v1/keys', {
      method: 'OPTIONS',
      headers: { ...OWN, 'access-control-request-method': 'GET' },
    })
    expect(answer.status).toBe(405)
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('may use any host name where the operator opened the port', async () => {
    const app = createAdminApp(place.control, { allowedHosts: null })
    const headers = { ...OWN, host: 'gate.example' }
    expect((await app.request('/admin/v1/keys', { headers })).status).toBe(200)
    const foreign = await app.request('/admin/v1/keys', {
      headers: { ...headers, origin: 'https://evil.example' },
    })
    expect(foreign.status).toBe(403)
  })
})

describe('paths and methods', () => {
  it.each([
    ['GET', '/admin/v1/nope', 404],
    ['GET', '/admin/v1/keys/', 404],
    ['GET', '/nope', 404],
    ['GET', '/admin/v1/keys/x/y', 404],
    ['PUT', '/admin/v1/keys', 405],
    ['DELETE', '/admin/v1/keys', 405],
    ['POST', '/admin/v1/keys/x', 405],
    ['GET', '/admin/v1/keys/x/rotate', 405],
    ['GET', '/admin/v1/policies/simulate', 405],
    ['POST', '/health', 405],
    ['POST', '/metrics', 405],
    ['OPTIONS', '/admin/v1/usage', 405],
  ])('%s %s → %i', async (method, path, status) => {
    const answer = await ask(path, { method, headers: OWN })
    const code = status === 404 ? 'not_found' : 'method_not_allowed'
    expect([answer.status, codeOf(answer)]).toEqual([status, code])
    expect(answer.headers.has('allow')).toBe(status === 405)
  })

  it('says which methods a path takes', async () => {
    const answer = await ask('/admin/v1/keys/x', { method: 'PUT', headers: OWN })
    expect(answer.headers.get('allow')).toBe('HEAD, GET, PATCH, DELETE')
  })

  it('answers HEAD without a body', async () => {
    const answer = await ask('/admin/v1/keys', { method: 'HEAD', headers: OWN })
    expect([answer.status, answer.text]).toEqual([200, ''])
  })

  it.each(['/admin/v1/keys', '/health', '/metrics', '/admin/v1/openapi.json', '/nope'])(
    'keeps %s out of caches',
    async (path) => {
      const { headers } = await ask(path, { headers: OWN })
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
    },
  )
})

describe('paths for probes', () => {
  it.each([
    ['/health', { status: 'ok' }],
    ['/healthz', { status: 'ok' }],
    ['/health/ready', { status: 'ready', checks: { ledger: 'ok' } }],
    ['/', { name: 'tollgate', version: '9.9.9', openapi: '/admin/v1/openapi.json' }],
  ])('%s needs no token', async (path, body) => {
    const answer = await ask(path)
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject(body)
  })

  it('tells what is not ready', async () => {
    const app = createAdminApp({
      ...place.control,
      readiness: () => ({ ledger: 'disk full', providers: null }),
    })
    const answer = await readAnswer(await app.request('/health/ready'))
    expect(answer.status).toBe(503)
    expect(answer.body).toEqual({
      status: 'not_ready',
      checks: { ledger: 'disk full', providers: 'ok' },
    })
  })

  it('gives metrics, with the token where others can reach them', async () => {
    const open = await ask('/metrics')
    expect([open.status, open.text]).toEqual([200, 'tollgate_up 1\n'])
    expect(open.headers.get('content-type')).toContain('text/plain')
    const guarded = createAdminApp(place.control, { guardMetrics: true })
    expect((await guarded.request('/metrics')).status).toBe(401)
    expect((await guarded.request('/metrics', { headers: OWN })).status).toBe(200)
  })
})

function refuseToWrite(): Promise<never> {
  return Promise.reject(new StoreError('readonly', 'no'))
}

describe('failures inside', () => {
  it.each([
    [new Error('secret detail'), 500, 'internal'],
    [new StoreError('full', '/private/path is full'), 503, 'store_unavailable'],
  ])('shows nothing of %s', async (thrown, status, code) => {
    const told: unknown[] = []
    const fail = async (): Promise<never> => {
      throw thrown
    }
    const store = { ...place.control.store, keys: { ...place.control.store.keys, list: fail } }
    const call = adminClient({ ...place.control, store }, { onError: (error) => told.push(error) })
    const answer = await call('GET', '/keys')
    expect([answer.status, codeOf(answer)]).toEqual([status, code])
    expect(answer.text).not.toContain(thrown.message)
    expect(told).toEqual([thrown])
  })

  it('a key that cannot be written does not work', async () => {
    const store = {
      ...place.control.store,
      keys: { ...place.control.store.keys, insert: refuseToWrite },
    }
    const before = place.control.keyRing.list()
    const answer = await adminClient({ ...place.control, store })('POST', '/keys', { name: 'a' })
    expect(answer.status).toBe(503)
    expect(place.control.keyRing.list()).toEqual(before)
  })
})

describe('the OpenAPI document', () => {
  it('has exactly the routes that exist', async () => {
    const { body } = await ask('/admin/v1/openapi.json', { headers: OWN })
    const { paths } = body
    const documented = isRecord(paths)
      ? Object.entries(paths).flatMap(([path, operations]) =>
          isRecord(operations)
            ? Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
            : [],
        )
      : []
    const app = createAdminApp(place.control)
    const mounted = app.routes
      .filter(({ method, path }) => method !== 'ALL' && path.startsWith(ADMIN_PREFIX))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    expect(documented.length).toBeGreaterThan(25)
    expect(new Set(documented)).toEqual(new Set(mounted))
    expect(new Set(documented).size).toBe(mounted.length)
  })

  it('has no reference to nowhere, and operation ids of their own', async () => {
    const { body, text } = await ask('/admin/v1/openapi.json', { headers: OWN })
    expect(body['openapi']).toBe('3.1.0')
    const { components } = body
    const schemas = isRecord(components) ? components['schemas'] : {}
    const names = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, target]) => target)
    expect(names.length).toBeGreaterThan(20)
    for (const name of new Set(names)) {
      expect(schemas).toHaveProperty([String(name).replace('#/components/schemas/', '')])
    }
    const ids = [...text.matchAll(/"operationId":"([^"]*)"/g)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(adminRoutes().length)
  })

  it('says which members of a body must be there', async () => {
    const { body } = await ask('/admin/v1/openapi.json', { headers: OWN })
    expect(body).toHaveProperty(
      [
        'paths',
        '/admin/v1/keys',
        'post',
        'requestBody',
        'content',
        'application/json',
        'schema',
        'required',
      ],
      ['name'],
    )
  })
})

describe('secrets', () => {
  it('stand in no answer but that of create and rotate', async () => {
    const { control } = place
    const call = adminClient(control)
    const made = await call('POST', '/keys', { name: 'a' })
    const id = String(made.body['id'])
    const rotated = await call('POST', `/keys/${id}/rotate`, { grace: '1h' })
    const record = await control.store.keys.get(id)
    const secrets = [
      String(made.body['key']),
      String(rotated.body['key']),
      record?.hash ?? '?',
      record?.previousHash ?? '?',
      control.hashKey,
      TOKEN,
      CREDENTIAL,
    ]
    const events: string[] = []
    control.events.subscribe(0, (event) => events.push(JSON.stringify(event)))
    const paths = adminRoutes()
      .filter(({ method, path }) => method === 'GET' && path !== '/events')
      .map(({ path }) => path.replace('{id}', id).replace('{name}', 'x'))
    const answers = [
      ...(await Promise.all(paths.map((path) => call('GET', path)))),
      await call('PATCH', `/keys/${id}`, { name: 'b' }),
      await call('POST', `/keys/${id}/disable`),
      await call('POST', `/keys/${id}/enable`),
      await call('DELETE', `/keys/${id}`),
      await call('POST', '/keys', { name: '' }),
    ]
    expect(answers.length).toBeGreaterThan(15)
    const texts = [...answers.map(({ text }) => text), ...events]
    for (const secret of secrets) {
      for (const text of texts) expect(text).not.toContain(secret)
    }
  })
})

describe('where it may listen', () => {
  it.each([
    ['127.0.0.1', false, true],
    ['127.9.9.9', false, true],
    ['localhost', false, true],
    ['::1', false, true],
    ['0.0.0.0', false, false],
    ['::', false, false],
    ['10.0.0.1', false, false],
    ['gate.example', false, false],
    ['127.0.0.1.evil.example', false, false],
    ['0.0.0.0', true, true],
  ])('%s, token configured: %s → %s', (host, configured, allowed) => {
    expect(bindProblem(host, configured) === null).toBe(allowed)
  })

  it('knows loopback in brackets', () => {
    expect(isLoopbackHost('[::1]')).toBe(true)
  })
})
