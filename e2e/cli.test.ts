import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  chat,
  ended,
  itemsOf,
  newWorkspace,
  type Served,
  serve,
  start,
  textOf,
  tollgate,
  tollgateJson,
  type Workspace,
} from './cli-harness.ts'

/** What is the same whether a server answers or the store is opened. */
function sharedBehaviour(workspace: () => Workspace): void {
  const json = (...args: readonly string[]): ReturnType<typeof tollgateJson> =>
    tollgateJson(workspace(), args)
  const run = (...args: readonly string[]): ReturnType<typeof tollgate> =>
    tollgate(workspace(), args)

  it('creates a key as one JSON object, and never shows its secret again', async () => {
    const policy = '{"budget": {"daily": 5}}'
    const flags = ['--team', 'research', '--user', 'ada', '--expires', '30d', '--metadata', 'a=b=c']
    const made = await json('key', 'create', '--name', 'full', '--policy', policy, ...flags)
    expect(made).toMatchObject({
      name: 'full',
      policy: { budget: { daily: 5 } },
      subject: { team: 'research', user: 'ada', role: null, rolegroup: null },
      metadata: { a: 'b=c' },
    })
    const key = textOf(made, 'key')
    expect(key).toMatch(/^tkn_[0-9A-Za-z]{43}$/)
    expect(key.endsWith(textOf(made, 'last4'))).toBe(true)
    const got = await json('key', 'get', '--id', textOf(made, 'id'))
    expect(got['key']).toBeUndefined()
    expect(JSON.stringify(await json('key', 'list'))).not.toContain(key)
  })

  it('takes a policy from a file and from standard input, and `token` for `key`', async () => {
    const { dir } = workspace()
    writeFileSync(path.join(dir, 'policy.json'), '{"max_output_tokens": 7}')
    const fromFile = await json('token', 'create', '--name', 'f', '--policy', '@policy.json')
    expect(fromFile['policy']).toEqual({ max_output_tokens: 7 })
    const args = ['key', 'create', '--name', 'i', '--policy', '-', '--json']
    const { out } = await tollgate(workspace(), args, { stdin: '{"max_output_tokens": 8}' })
    expect(JSON.parse(out)).toMatchObject({ policy: { max_output_tokens: 8 } })
  })

  it('patches, replaces, clears, rotates, disables and revokes', async () => {
    const id = textOf(await json('key', 'create', '--name', 'x', '--expires', '7d'), 'id')
    await json('key', 'update', '--id', id, '--policy', '{"max_output_tokens": 5}')
    const patched = await json('key', 'update', id, '--policy', '{"max_input_tokens": 6}')
    expect(patched['policy']).toEqual({ max_output_tokens: 5, max_input_tokens: 6 })
    const replaced = await json('key', 'update', id, '--replace', '--policy', '{}')
    expect(replaced['policy']).toEqual({})
    expect((await json('key', 'update', id, '--expires', 'clear'))['expires_at']).toBeNull()
    const rotated = await json('key', 'rotate', '--id', id, '--grace', '1h')
    expect(rotated).toMatchObject({ id })
    expect(rotated['previous_valid_until']).not.toBeNull()
    expect(await json('key', 'disable', id)).toMatchObject({ state: 'disabled' })
    expect(await json('key', 'enable', id)).toMatchObject({ state: 'active' })
    expect(await json('key', 'delete', '--id', id)).toMatchObject({ state: 'revoked' })
  })

  it('refuses an ambiguous start of an id, and lists what it fits', async () => {
    const one = textOf(await json('key', 'create', '--name', 'amb-1'), 'id')
    const other = textOf(await json('key', 'create', '--name', 'amb-2'), 'id')
    const { code, err, out } = await run('key', 'revoke', '--id', 'key_')
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toMatch(/^tollgate: /)
    expect(err.includes(one) || err.includes(other) || err.includes('and more')).toBe(true)
    expect(await json('key', 'get', one.slice(0, 12))).toMatchObject({ id: one })
  })

  it('keeps named policies', async () => {
    await json('policy', 'set', 'contractor', '{"models": {"allow": ["sandbox-*"]}}')
    expect(await json('policy', 'get', 'contractor')).toMatchObject({
      policy: { models: { allow: ['sandbox-*'] } },
    })
    expect(itemsOf(await json('policy', 'list')).map(({ name }) => name)).toContain('contractor')
    const made = await json('key', 'create', '--name', 'c', '--policies', 'contractor')
    const explained = await json('policy', 'explain', textOf(made, 'id'), '--model', 'gpt-4o')
    expect(explained).toMatchObject({ model: { name: 'gpt-4o', allowed: false } })
    expect((await run('policy', 'delete', 'contractor')).code).toBe(1)
    await json('policy', 'set', 'unused', '{}')
    expect(await json('policy', 'delete', 'unused')).toMatchObject({ deleted: true })
  })

  it('prints one JSON page for every list', async () => {
    const lists = ['key list', 'limit list', 'ledger list', 'provider list', 'model list']
    for (const line of [...lists, 'policy list', 'provider models sandbox']) {
      const page = await json(...line.split(' '))
      expect({ line, ...page }).toMatchObject({ line, items: expect.any(Array), next: null })
    }
  })

  it.each([
    ['ledger summary', 'by_model'],
    ['stats', 'windows'],
    ['config check', 'ok'],
    ['config show', 'config'],
    ['config schema', 'properties'],
    ['doctor', 'items'],
    ['version', 'version'],
  ])('prints one JSON object for %s', async (line, member) => {
    expect(await json(...line.split(' '))).toHaveProperty(member)
  })

  it('prints everything for people too', async () => {
    const lists = ['key', 'limit', 'ledger', 'provider', 'model', 'policy'].map(
      (one) => `${one} list`,
    )
    const others = ['ledger summary', 'ledger export --csv', 'stats', 'config check', 'doctor']
    for (const line of [...lists, ...others]) {
      const { code } = await run(...line.split(' '))
      expect({ line, code }).toEqual({ line, code: 0 })
    }
  })

  it('escapes control characters of stored texts', async () => {
    const made = await json('key', 'create', '--name', 'plain', '--metadata', 'a=\u202Eevil')
    const { out } = await run('key', 'get', textOf(made, 'id'))
    expect(out).not.toContain('\u202E')
    expect(out).toContain(String.raw`\u202e`)
  })
}

describe('with a running server', () => {
  let workspace: Workspace
  let served: Served

  beforeAll(async () => {
    workspace = newWorkspace()
    served = await serve(workspace)
  })

  afterAll(async () => {
    await served.stop()
    workspace.remove()
  })

  sharedBehaviour(() => workspace)

  it.each([
    [['key', 'create', '--name', 'n', '--policy', '{"bogus": 1}'], 2, /bogus/],
    [['key', 'create', '--name', 'n', '--policy', 'nonsense'], 2, /no JSON/],
    [['key', 'create', '--name', 'n', '--policy', '[]'], 2, /JSON object/],
    [['key', 'create', '--name', 'n', '--policy', '@missing.json'], 2, /missing\.json/],
    [['key', 'create', '--name', 'n', '--expires', 'soon'], 2, /soon/],
    [['key', 'create'], 2, /--name/],
    [['key', 'get'], 2, /--id/],
    [['key', 'get', '--id', 'key_nope'], 1, /No key/],
    [['key', 'update', '--id', 'key_nope', '--replace'], 2, /--policy/],
    [['kye', 'list'], 2, /Did you mean key/],
    [['key', 'lsit'], 2, /Did you mean list/],
    [['key', 'list', '--jsno'], 2, /Did you mean --json/],
    [['limit', 'grant', 'x', '--value', 'y', '--amount', '-3'], 2, /amount/],
    [['ledger', 'list', '--status', 'teapot'], 2, /teapot/],
    [['policy', 'test', 'a', 'b', '--c'], 2, /unknown option/],
    [['policy', 'test'], 2, /model/],
    [['start', '--help'], 1, /start is not available in this version/],
    [['vault', 'list', '--json'], 1, /not available in this version/],
    [['serve', '--port', '99999'], 2, /port/i],
    [['run', '--provider', 'opnai', '--', 'true'], 2, /Did you mean "openai"/],
  ])('%j ends with %d', async (args, code, text) => {
    const result = await tollgate(workspace, args)
    expect(result.err).toMatch(text)
    expect(result.err.startsWith('tollgate: ')).toBe(true)
    expect(result.out).toBe('')
    expect(result.code).toBe(code)
  })

  it('counts an update on the very next request', async () => {
    const made = await tollgateJson(workspace, ['key', 'create', '--name', 'live'])
    const [id, key] = [textOf(made, 'id'), textOf(made, 'key')]
    expect(await chat(served.proxyUrl, key)).toBe(200)
    const deny = '{"models": {"deny": ["*"]}}'
    await tollgateJson(workspace, ['key', 'update', '--id', id, '--policy', deny])
    expect(await chat(served.proxyUrl, key)).toBe(403)
    await tollgateJson(workspace, ['key', 'update', '--id', id, '--policy', '{"models": null}'])
    expect(await chat(served.proxyUrl, key)).toBe(200)
    await tollgateJson(workspace, ['key', 'disable', id])
    expect(await chat(served.proxyUrl, key)).toBe(401)
  })

  it('resets and grants limits while requests run', async () => {
    const limits = [
      { id: 'few', scope: 'key', unit: 'requests', algorithm: 'fixed', amount: 1, window: '24h' },
    ]
    const policy = JSON.stringify({ limits })
    const made = await tollgateJson(workspace, ['key', 'create', '--name', 'l', '--policy', policy])
    const [id, key] = [textOf(made, 'id'), textOf(made, 'key')]
    expect(await chat(served.proxyUrl, key)).toBe(200)
    expect(await chat(served.proxyUrl, key)).toBe(429)
    const listed = itemsOf(await tollgateJson(workspace, ['limit', 'list', '--id', 'few']))
    expect(listed).toEqual([expect.objectContaining({ value: id, used: 1, amount: 1 })])
    await tollgateJson(workspace, ['limit', 'grant', 'few', '--value', id, '--amount', '1'])
    expect(await chat(served.proxyUrl, key)).toBe(200)
    expect(await chat(served.proxyUrl, key)).toBe(429)
    await tollgateJson(workspace, ['limit', 'reset', 'few', '--value', id])
    expect(await chat(served.proxyUrl, key)).toBe(200)
  })

  it('finds the ledger of a key by the start of its id, and exports it', async () => {
    const made = await tollgateJson(workspace, ['key', 'create', '--name', '=cmd'])
    await chat(served.proxyUrl, textOf(made, 'key'))
    const key = textOf(made, 'id').slice(0, 14)
    const listed = itemsOf(await tollgateJson(workspace, ['ledger', 'list', '--key', key]))
    expect(listed).toEqual([expect.objectContaining({ key_id: made['id'], status: 200 })])
    const summary = await tollgateJson(workspace, ['ledger', 'summary', '--key', key])
    expect(summary).toMatchObject({ requests: 1, errors: 0 })
    const exported = await tollgate(workspace, ['ledger', 'export', '--key', key])
    expect(JSON.parse(exported.out)).toEqual(listed)
    const csv = await tollgate(workspace, ['ledger', 'export', '--csv', '--key', key])
    const lines = csv.out.trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[1]).toContain(",'=cmd,")
  })

  it('says where it runs', async () => {
    expect(await tollgateJson(workspace, ['status'])).toMatchObject({
      running: true,
      pid: served.child.pid,
      proxy_url: served.proxyUrl,
      admin_url: served.adminUrl,
    })
    expect(await tollgateJson(workspace, ['config', 'reload'])).toMatchObject({ reloaded: true })
    expect(await tollgateJson(workspace, ['provider', 'test'])).toMatchObject({
      items: [{ provider: 'sandbox', ok: true }],
    })
    expect((await tollgate(workspace, ['provider', 'test', 'nope'])).code).toBe(1)
    expect(await tollgateJson(workspace, ['provider', 'discover', 'sandbox'])).toMatchObject({
      ok: true,
      items: expect.arrayContaining([
        expect.objectContaining({ name: 'sandbox/sandbox-mini', known: true }),
      ]),
    })
    const yaml = await tollgate(workspace, ['provider', 'discover', 'sandbox', '--yaml'])
    expect(yaml.out).toContain(
      '"sandbox/echo": { targets: [{ provider: "sandbox", model: "echo" }] }',
    )
    expect((await tollgate(workspace, ['provider', 'discover', 'nope'])).code).toBe(1)
  })

  it('is found through TOLLGATE_ADMIN_URL from anywhere', async () => {
    const elsewhere = newWorkspace()
    const token = readFileSync(path.join(workspace.dir, '.tollgate', 'admin.token'), 'utf8').trim()
    const env = { TOLLGATE_ADMIN_URL: served.adminUrl, TOLLGATE_ADMIN_TOKEN: token }
    const listed = await tollgate(elsewhere, ['key', 'list', '--json'], { env })
    expect(listed.code).toBe(0)
    const refused = await tollgate(elsewhere, ['key', 'list'], {
      env: { ...env, TOLLGATE_ADMIN_TOKEN: 'wrong' },
    })
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('TOLLGATE_ADMIN_TOKEN') })
    expect(existsSync(path.join(elsewhere.dir, '.tollgate'))).toBe(false)
    elsewhere.remove()
  })

  it('refuses a second server on the same store', async () => {
    const args = ['serve', '--port', '0', '--admin-port', '0']
    const { code, err } = await tollgate(workspace, args)
    expect(code).toBe(1)
    expect(err).toContain(`already served by process ${served.child.pid}`)
  })

  it('gives a program a key that is revoked at its end, and says what it cost', async () => {
    const call = `const { OPENAI_BASE_URL: url, OPENAI_API_KEY: key } = process.env
      const body = JSON.stringify({ model: 'sandbox-mini', messages: [{ role: 'user', content: 'hi' }] })
      const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' }
      const answer = await fetch(url + '/chat/completions', { method: 'POST', headers, body })
      await answer.text()
      console.log(url, answer.status)`
    const args = ['run', '--name', 'job', '--', 'node', '--input-type=module', '-e', call]
    const { code, out, err } = await tollgate(workspace, args)
    expect(out).toBe(`${served.proxyUrl}/v1 200\n`)
    expect(err).toMatch(/^tollgate: 1 request, \d+ input and \d+ output tokens, \$0\.0000\d\d\n$/)
    expect(code).toBe(0)
    const keys = itemsOf(await tollgateJson(workspace, ['key', 'list', '--name', 'job']))
    expect(keys).toEqual([expect.objectContaining({ state: 'revoked' })])
  })

  it('writes the settings of agents and programs', async () => {
    const shell = await tollgate(workspace, ['init'])
    expect(shell.out).toMatch(
      /^export OPENAI_API_KEY="tkn_\w{43}"\nexport OPENAI_BASE_URL="http:\/\/127\.0\.0\.1:\d+\/v1"\n$/,
    )
    const settings = path.join(workspace.dir, '.claude', 'settings.local.json')
    mkdirSync(path.dirname(settings))
    writeFileSync(settings, '{"permissions": {"allow": ["Read"]}, "env": {"MINE": "1"}}')
    expect((await tollgate(workspace, ['init', '--agent', 'claude-code'])).code).toBe(0)
    const written: unknown = JSON.parse(readFileSync(settings, 'utf8'))
    expect(written).toEqual({
      permissions: { allow: ['Read'] },
      env: {
        MINE: '1',
        ANTHROPIC_API_KEY: expect.stringMatching(/^tkn_/),
        ANTHROPIC_BASE_URL: served.proxyUrl,
      },
    })
    expect(statSync(settings).mode & 0o777).toBe(0o600)
    await tollgate(workspace, ['init', '--agent', 'claude-code'])
    expect(JSON.parse(readFileSync(settings, 'utf8'))).toEqual(written)
  })

  it('updates a dotenv file in place', async () => {
    const file = path.join(workspace.dir, '.env')
    writeFileSync(file, '# mine\nOPENAI_API_KEY=sk-old\nOTHER=1\n')
    const args = [
      'init',
      '--output',
      'dotenv',
      '--key',
      'tkn_given',
      '--proxy-url',
      'http://gate:1/v1/',
    ]
    expect((await tollgate(workspace, args)).code).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(
      '# mine\nOPENAI_API_KEY="tkn_given"\nOTHER=1\nOPENAI_BASE_URL="http://gate:1/v1"\n',
    )
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })
})

describe('without a server', () => {
  let workspace: Workspace
  beforeAll(() => {
    workspace = newWorkspace()
  })
  afterAll(() => workspace.remove())

  sharedBehaviour(() => workspace)

  it('keeps what it wrote for the server', async () => {
    const made = await tollgateJson(workspace, ['key', 'create', '--name', 'before'])
    const served = await serve(workspace)
    expect(await chat(served.proxyUrl, textOf(made, 'key'))).toBe(200)
    await served.stop()
    const keys = itemsOf(await tollgateJson(workspace, ['key', 'list', '--name', 'before']))
    expect(keys).toHaveLength(1)
    expect(await tollgateJson(workspace, ['ledger', 'summary'])).toMatchObject({ requests: 1 })
  })

  it('lets several commands wait for each other', async () => {
    const made = await Promise.all(
      ['p1', 'p2', 'p3'].map((name) => tollgateJson(workspace, ['key', 'create', '--name', name])),
    )
    expect(new Set(made.map(({ id }) => id)).size).toBe(3)
  })

  it('says that no server runs', async () => {
    const { code, out } = await tollgate(workspace, ['status', '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ running: false })
    expect((await tollgate(workspace, ['config', 'reload'])).code).toBe(1)
  })
})

describe('run without a server', () => {
  let workspace: Workspace
  beforeEach(() => {
    workspace = newWorkspace()
  })
  afterEach(() => workspace.remove())

  it('keeps the exit code of the program', async () => {
    const script = 'process.exit(7)'
    expect((await tollgate(workspace, ['run', '--', 'node', '-e', script])).code).toBe(7)
    expect((await tollgate(workspace, ['run', 'sh', '-c', 'kill -9 $$'])).code).toBe(137)
    expect((await tollgate(workspace, ['run', '--', 'no-such-program'])).code).toBe(127)
  })

  it('leaves flags after -- to the program, and no real credential', async () => {
    const env = { OPENAI_API_KEY: 'sk-real', ANTHROPIC_AUTH_TOKEN: 'real', OTHER_API_KEY: 'kept' }
    const script = 'console.log(JSON.stringify([process.argv.slice(1), process.env]))'
    const args = ['run', '--quiet', '--', 'node', '-e', script, '--', '--name', 'x', '--quiet']
    const { out, err } = await tollgate(workspace, args, { env: { ...env } })
    expect(err).toBe('')
    const [argv, child] = JSON.parse(out)
    expect(argv).toEqual(['--name', 'x', '--quiet'])
    expect(child).toMatchObject({
      OPENAI_API_KEY: expect.stringMatching(/^tkn_/),
      OPENAI_BASE_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1$/),
      ANTHROPIC_API_KEY: child['OPENAI_API_KEY'],
      ANTHROPIC_BASE_URL: child['OPENAI_BASE_URL'].replace(/\/v1$/, ''),
      OTHER_API_KEY: 'kept',
    })
    expect(child['ANTHROPIC_AUTH_TOKEN']).toBeUndefined()
    expect(JSON.stringify(child)).not.toContain('sk-real')
  })

  it('passes signals on, and ends as the program ends', async () => {
    const script =
      'process.on("SIGTERM", () => process.exit(9)); console.log("up"); setInterval(() => {}, 1000)'
    const child = start(workspace, ['run', '--', 'node', '-e', script])
    const end = ended(child)
    await new Promise((resolve) => child.stdout?.once('data', resolve))
    child.kill('SIGTERM')
    expect((await end).code).toBe(9)
  })

  it('uses own names of variables', async () => {
    const script = 'console.log(process.env.MY_URL, process.env.MY_KEY.slice(0, 4))'
    const names = ['--env-key', 'MY_KEY', '--env-base-url', 'MY_URL']
    const { out } = await tollgate(workspace, ['run', ...names, '--', 'node', '-e', script])
    expect(out).toMatch(/^http:\/\/127\.0\.0\.1:\d+ tkn_\n$/)
  })
})

/** Runs the printed line as a person would, and gives the key that stands in it. */
function curl(text: string, flag = '-sS'): { readonly out: string; readonly key: string } {
  const line = text.split('\n').find((one) => one.includes(`curl ${flag} `)) ?? ''
  const { stdout } = spawnSync('sh', ['-c', line], { encoding: 'utf8' })
  return { out: stdout, key: /tkn_\w+/.exec(line)?.[0] ?? '' }
}

describe('serve', () => {
  let workspace: Workspace
  beforeEach(() => {
    workspace = newWorkspace()
  })
  afterEach(() => workspace.remove())

  it('shows a first key with a curl line that works, and a fresh one on later starts', async () => {
    const first = await serve(workspace, ['--first-run'])
    expect(first.startText).toContain(`Proxy      ${first.proxyUrl}`)
    const secrets = [curl(first.startText), curl(first.startText, '-N')].map(({ out, key }) => {
      expect(out).toMatch(/chat\.completion|data: \[DONE\]/)
      return key
    })
    await first.stop()
    const second = await serve(workspace, ['--first-run'])
    const again = curl(second.startText)
    expect(again.out).toContain('chat.completion')
    expect(secrets).not.toContain(again.key)
    await second.stop()
    const third = await serve(workspace, ['--first-run'])
    expect(await chat(third.proxyUrl, again.key)).toBe(401)
    expect(await chat(third.proxyUrl, secrets[0] ?? '')).toBe(200)
    await third.stop()
    const keys = itemsOf(await tollgateJson(workspace, ['key', 'list']))
    expect(keys.map(({ name, state }) => `${String(name)} ${String(state)}`).toSorted()).toEqual([
      'first active',
      'try-it active',
      'try-it revoked',
    ])
  })

  it('writes only JSON lines with --json-logs', async () => {
    const served = await serve(workspace, ['--json-logs', '--first-run'])
    const { out, code } = await served.stop('SIGINT')
    const lines = out.trimEnd().split('\n')
    const messages = lines.map((line) => JSON.parse(line).msg)
    expect(messages).toContain('tollgate ready')
    expect(code).toBe(0)
  })

  it('finishes what is under way, then ends with 0', async () => {
    const served = await serve(workspace)
    const made = await tollgateJson(workspace, ['key', 'create', '--name', 'slow'])
    const request = chat(served.proxyUrl, textOf(made, 'key'), 'sandbox/words-20+delay-50')
    await sleep(300)
    const stoppedAt = performance.now()
    const { code } = await served.stop('SIGTERM')
    expect(await request).toBe(200)
    expect(code).toBe(0)
    // The client keeps its connection; it must not keep the server for the whole grace.
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(existsSync(path.join(workspace.dir, '.tollgate', 'server.json'))).toBe(false)
  })

  it('ends at once on the second signal', async () => {
    const served = await serve(workspace)
    const made = await tollgateJson(workspace, ['key', 'create', '--name', 'slow'])
    const request = chat(served.proxyUrl, textOf(made, 'key'), 'sandbox/words-200+delay-100')
    const outcome = request.catch(() => 'cut')
    await sleep(300)
    served.child.kill('SIGINT')
    await sleep(400)
    const { code } = await served.stop('SIGINT')
    expect(code).toBe(130)
    expect(await outcome).toBe('cut')
  })

  it('takes the same signal twice in a moment for one press', async () => {
    const served = await serve(workspace)
    served.child.kill('SIGINT')
    expect(await served.stop('SIGINT')).toMatchObject({ code: 0 })
  })

  it.each([
    ['server:\n  prot: 1\n', /^tollgate: server\.prot \(.*tollgate\.yaml:2\): .*port/m],
    ['server: [\n', /tollgate\.yaml:\d/],
    [
      'providers:\n  sandbox: {}\nmodels:\n  fast:\n    targets:\n      - { provider: nope }\n',
      /^tollgate: models\.fast\.targets\[0\]\.provider \(.*tollgate\.yaml:6\)/m,
    ],
  ])('refuses the configuration %j with its place', async (text, problem) => {
    writeFileSync(path.join(workspace.dir, 'tollgate.yaml'), text)
    for (const args of [['serve'], ['config', 'check']]) {
      const { code, err, out } = await tollgate(workspace, args)
      expect(err).toMatch(problem)
      expect(out).toBe('')
      expect(code).toBe(2)
    }
  })

  it('names a --config that is not there', async () => {
    const { code, err } = await tollgate(workspace, ['serve', '--config', 'absent.yaml'])
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('absent.yaml') })
  })

  it('says which address is in use', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    for (const flags of [
      ['--port', String(port), '--admin-port', '0'],
      ['--port', '0', '--admin-port', String(port)],
    ]) {
      const { code, err } = await tollgate(workspace, ['serve', ...flags])
      expect(err).toMatch(new RegExp(`${port} is in use`))
      expect(code).toBe(1)
    }
    other.close()
  })

  it('uses --dir for everything, before and after the command', async () => {
    const made = await tollgateJson(workspace, ['key', 'create', '--name', 'a', '--dir', 'place'])
    expect(existsSync(path.join(workspace.dir, '.tollgate'))).toBe(false)
    const { out } = await tollgate(workspace, ['--dir', 'place', 'key', 'list', '--json'])
    expect(out).toContain(textOf(made, 'id'))
  })
})

describe('the rest', () => {
  let workspace: Workspace
  beforeAll(() => {
    workspace = newWorkspace()
  })
  afterAll(() => workspace.remove())

  it('completes commands and flags in bash', async () => {
    const { out } = await tollgate(workspace, ['completion', 'bash'])
    const file = path.join(workspace.dir, 'completion.bash')
    writeFileSync(file, out)
    const complete = (...words: readonly string[]): string => {
      const list = words.map((word) => `'${word}'`).join(' ')
      const script = `source ${file}; COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _tollgate; echo "\${COMPREPLY[@]}"`
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim()
    }
    expect(complete('tollgate', 'ke')).toBe('key')
    expect(complete('tollgate', 'key', 'cr')).toBe('create')
    expect(complete('tollgate', 'key', 'create', '--pol')).toBe('--policy --policies')
    expect(complete('tollgate', 'key', 'create', '--name', 'x', '--exp')).toBe('--expires')
    for (const shell of ['zsh', 'fish']) {
      const script = await tollgate(workspace, ['completion', shell])
      expect(script.out).toContain('rotate')
    }
    expect((await tollgate(workspace, ['completion', 'tcsh'])).code).toBe(2)
  })

  it('shows help with examples, and nothing on disk', async () => {
    const { code, out } = await tollgate(workspace, ['key', '--help'])
    expect(code).toBe(0)
    expect(out).toContain('$ tollgate key create')
    expect((await tollgate(workspace, ['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(existsSync(path.join(workspace.dir, '.tollgate'))).toBe(false)
  })

  it('ends quietly when the reader of its output leaves', () => {
    const main = path.join(import.meta.dirname, '..', 'packages', 'gateway', 'src', 'main.ts')
    const script = `"${process.execPath}" "${main}" config schema | head -c 10; echo " \${PIPESTATUS[0]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', script], {
      cwd: workspace.dir,
      env: { ...workspace.env },
      encoding: 'utf8',
    })
    expect(stdout.endsWith(' 0\n')).toBe(true)
    expect(stderr).toBe('')
  })

  it('writes no colours into a pipe', async () => {
    const { out, err } = await tollgate(workspace, ['key', 'lsit'], { env: { FORCE_COLOR: '1' } })
    expect(out + err).not.toContain('\u001B')
  })
})
