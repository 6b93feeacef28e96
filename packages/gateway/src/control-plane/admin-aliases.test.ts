import { afterEach, describe, expect, it } from 'vitest'
import { adminClient, codeOf, pathOf } from './testing/admin-client.ts'
import { testControl, type TestControl } from './testing/test-control.ts'

const CONFIG = {
  providers: { acme: {} },
  models: { big: { targets: [{ provider: 'acme' }] }, small: { targets: [{ provider: 'acme' }] } },
  aliases: { filed: { variants: [{ model: 'big' }] } },
}

let open: TestControl | null = null
afterEach(async () => {
  await open?.remove()
  open = null
})

async function start(): Promise<{ call: ReturnType<typeof adminClient>; test: TestControl }> {
  open = await testControl(CONFIG)
  return { call: adminClient(open.control), test: open }
}

describe('/aliases', () => {
  it('are made, replaced, listed and deleted, and count at once', async () => {
    const { call, test } = await start()
    const variants = [
      { model: 'big', weight: 3 },
      { model: 'acme/other', weight: 1 },
    ]
    const made = await call('PUT', '/aliases/fast', { variants, sticky: 'key' })
    expect(made.body).toMatchObject({ name: 'fast', owner: 'api', variants, valid: true })
    expect(test.control.plan().routing.aliases?.get('fast')).toMatchObject({ sticky: 'key' })
    await call('PUT', '/aliases/fast', { variants: [{ model: 'small' }], enabled: false })
    const list = await call('GET', '/aliases')
    expect(list.body['items']).toMatchObject([
      { name: 'fast', enabled: false, variants: [{ model: 'small', weight: 1 }] },
      { name: 'filed', owner: 'file', updated_at: null },
    ])
    expect((await call('DELETE', '/aliases/fast')).body).toEqual({ name: 'fast', deleted: true })
    expect((await call('GET', '/aliases/fast')).status).toBe(404)
    expect(test.control.plan().routing.aliases?.has('fast')).toBe(false)
  })

  it.each([
    ['x', { variants: [] }, 'variants'],
    ['x', { variants: [{ model: 'big', weight: 0 }] }, 'variants[0].weight'],
    ['x', { variants: [{ model: 'big' }, { model: 'big' }] }, 'variants[1].model'],
    ['x', { variants: [{ model: 'x' }] }, 'variants[0].model'],
    ['x', { variants: [{ model: 'gone' }] }, 'variants[0].model'],
    ['x', { variants: [{ model: 'nobody/m' }] }, 'variants[0].model'],
    ['x', { variants: [{ model: 'filed' }] }, 'variants[0].model'],
    ['x', { variants: [{ model: '*' }] }, 'variants[0].model'],
    ['x', { variants: [{ model: 'big' }], sticky: 'always' }, 'sticky'],
    ['big', { variants: [{ model: 'small' }] }, 'name'],
    ['auto', { variants: [{ model: 'small' }] }, 'name'],
    ['a%20b', { variants: [{ model: 'small' }] }, 'name'],
  ])('refuse %s with %j', async (name, body, path) => {
    const { call } = await start()
    const answer = await call('PUT', `/aliases/${name}`, body)
    expect([answer.status, pathOf(answer)]).toEqual([400, path])
    expect((await call('GET', '/aliases')).body['items']).toHaveLength(1)
  })

  it('never stand for each other, whichever came first', async () => {
    const { call } = await start()
    await call('PUT', '/aliases/one', { variants: [{ model: 'acme/later' }] })
    const answer = await call('PUT', '/aliases/acme%2Flater', { variants: [{ model: 'big' }] })
    expect([answer.status, pathOf(answer)]).toEqual([400, 'name'])
  })

  it('of the file are changed there', async () => {
    const { call } = await start()
    const body = { variants: [{ model: 'small' }] }
    expect(codeOf(await call('PUT', '/aliases/filed', body))).toBe('file_owned')
    expect(codeOf(await call('DELETE', '/aliases/filed'))).toBe('file_owned')
    expect((await call('DELETE', '/aliases/none')).status).toBe(404)
  })

  it('whose model is gone stay, and are told to be of no use', async () => {
    const { call, test } = await start()
    await call('PUT', '/aliases/fast', { variants: [{ model: 'small' }] })
    test.nextConfig({ providers: { acme: {} }, models: { big: CONFIG.models.big } })
    await test.control.reload()
    expect((await call('GET', '/aliases/fast')).body).toMatchObject({ valid: false })
    expect(test.control.plan().routing.aliases).toBeNull()
  })
})
