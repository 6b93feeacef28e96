import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { configJsonSchema } from './config-schema.ts'
import { findConfigFile, loadConfig, type LoadedConfig, type LoadOptions } from './load-config.ts'
import { policyJsonSchema } from './policy-schema.ts'
import { redactConfig } from './redact-config.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function load(
  text: string,
  options: Partial<LoadOptions> = {},
  name = 'tollgate.yaml',
): LoadedConfig {
  const file = join(folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return loadConfig({ configPath: file, env: {}, cwd: folder, ...options })
}

function problemsOf(run: () => unknown): readonly ConfigProblem[] {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems
    throw thrown
  }
  return []
}

const WHOLE = `
dir: data
server:  { host: 127.0.0.1, port: 8080, max_body: 10MiB, trusted_proxies: [10.0.0.0/8] }
admin:   { host: 127.0.0.1, port: 8081, token: env:TOLLGATE_ADMIN_TOKEN }
log:     { level: info, format: json }
storage: { url: sqlite:.tollgate/tollgate.db }
limits:  { backend: memory }
keys:    { hash_key: file:hash.key, previous: [] }
providers:
  openai:    { credential: env:OPENAI_API_KEY }
  anthropic:
  local:
    protocol: openai-chat
    base_url: http://127.0.0.1:9901/v1
    credential: env:LOCAL_KEY
    allow_private: true
    timeouts: { connect: 5s, first_byte: 60s, idle: 30s, total: 10m }
models:
  gpt-4o-mini:
    targets:
      - { provider: openai, model: gpt-4o-mini, weight: 5 }
      - { provider: local,  model: gpt-4o-mini, weight: 1 }
    strategy: priority
    price: { input: 0.15, output: 0.60, cache_read: 0.075 }
    context: 128000
    max_output: 16384
policy:
  limits:
    - { id: team-day, scope: team, unit: usd, algorithm: fixed, amount: 50, window: 24h }
    - { id: key-rpm, scope: key, unit: requests, algorithm: sliding, amount: 60, window: 1m }
    - { id: user-bucket, scope: user, unit: tokens, algorithm: bucket, capacity: 5000, refill_per_sec: 25 }
    - { id: key-life, scope: key, unit: tokens, algorithm: lifetime, amount: 1000000 }
    - { id: key-par, scope: key, unit: concurrent, algorithm: concurrent, amount: 4 }
policies: { contractor: { max_output_tokens: 100 } }
teams: { research: { policy: { models: [gpt-*] } } }
`

describe('loadConfig', () => {
  it('takes the whole example', () => {
    writeFileSync(join(folder, 'hash.key'), 'the hash key\n')
    const { config, missingSecrets } = load(WHOLE, { env: { LOCAL_KEY: ' local \n' } })
    expect(config.dir).toBe(join(folder, 'data'))
    expect(config.storage.url).toBe(`sqlite:${join(folder, '.tollgate/tollgate.db')}`)
    expect(config.keys.hash_key.reveal()).toBe('the hash key')
    expect(config.providers['local']?.credential?.reveal()).toBe('local')
    expect(config.providers['anthropic']).toEqual({})
    expect(config.admin.token?.missing).toBe(true)
    expect(missingSecrets).toEqual([
      { path: 'providers.openai.credential', reference: 'env:OPENAI_API_KEY' },
    ])
  })

  it('has a default for everything', () => {
    const { config, file } = loadConfig({ env: {}, cwd: join(folder, 'empty') })
    expect(file).toBeNull()
    const dir = join(folder, 'empty', '.tollgate')
    expect(redactConfig(config)).toEqual({
      dir,
      server: {
        host: '127.0.0.1',
        port: 8080,
        max_body: '10MiB',
        max_document_body: '32MiB',
        max_json_depth: 64,
        keep_alive: '75s',
        headers_timeout: '15s',
        body_idle_timeout: '30s',
        shutdown_grace: '30s',
        trusted_proxies: [],
        workers: 1,
      },
      admin: { host: '127.0.0.1', port: 8081, token: null },
      log: { level: 'info', format: null },
      storage: {
        url: `sqlite:${dir}/tollgate.db`,
        connections: 10,
        wait: '30s',
        spool_max: '256MiB',
      },
      limits: { backend: 'memory', namespace: 'tollgate', timeout: '50ms' },
      keys: { hash_key: `file:${dir}/hash.key (missing)`, previous: [], required: true },
      ledger: { enabled: true, retention: '90d', durability: 'normal' },
      idempotency: {
        enabled: true,
        ttl: '5m',
        max_answer: '16MiB',
        max_bytes: '256MiB',
        max_entries: 10_000,
      },
      providers: {},
      models: {},
      aliases: {},
      routing: {
        breaker: {
          failures: 5,
          failure_share: 0.5,
          min_requests: 20,
          window: '1m',
          open_for: '5s',
          max_open_for: '10s',
          when_all_open: 'try',
        },
        probes: { enabled: true, interval: '5s', timeout: '3s' },
        retry: { max_retries: 0, budget: 0.1, burst: 10 },
        quota_set_aside: '10m',
        provider_limits: 'obey',
        sync: null,
        default_mode: 'normal',
        modes: {},
        thompson: { half_life: '24h', window: 400 },
      },
      policy: {},
      policies: {},
      teams: {},
      virtual_keys: [],
      credentials: { allowed: [] },
      custom_upstreams: { enabled: false, allow_private: false, ports: [80, 443] },
    })
    expect(redactConfig(load('server:\npolicy:\n').config)['policy']).toEqual({})
  })

  it.each<[string, string, number, string]>([
    ['server:\n  prot: 1', 'server.prot', 2, 'unknown key "prot". Did you mean "port"?'],
    ['servr: {}', 'servr', 1, 'unknown key "servr". Did you mean "server"?'],
    ['server:\n  port: 70000', 'server.port', 2, 'must be at most 65535'],
    ['server:\n  port: http', 'server.port', 2, 'expected a number, got a text'],
    ['server:\n  workers: 0', 'server.workers', 2, 'must be'],
    ['server:\n  workers: 65', 'server.workers', 2, 'must be'],
    ['server:\n  workers: many', 'server.workers', 2, 'auto'],
    ['server: { max_body: ten }', 'server.max_body', 1, '"ten" is no size'],
    ['server: { trusted_proxies: [10.0.0.1/8] }', 'server.trusted_proxies[0]', 1, 'is no network'],
    ['server: 5', 'server', 1, 'expected an object, got a number'],
    ['admin:\n  token: hunter2', 'admin.token', 2, 'is not a secret reference'],
    ['admin:\n  token: vault:x', 'admin.token', 2, 'not available in this version'],
    ['admin:\n  token: exec:ls', 'admin.token', 2, 'not available in this version'],
    [
      'storage: { url: "postgres://u:p@x:y" }',
      'storage.url',
      1,
      '"postgres://u:***@x:y" is no URL',
    ],
    ['storage: { url: env:NOT_THERE }', 'storage.url', 1, 'env:NOT_THERE is not there'],
    ['storage: { url: vault:db }', 'storage.url', 1, 'not available in this version'],
    ['storage: { connections: 1 }', 'storage.connections', 1, 'must be at least 2'],
    ['storage: { url: mysql://x }', 'storage.url', 1, 'is no storage'],
    ['limits: { backend: redis://u:p@x }', 'limits.backend', 1, 'must hold no user or password'],
    ['limits: { backend: "env:NOT_THERE" }', 'limits.backend', 1, 'env:NOT_THERE is missing'],
    ['limits: { backend: redis://x/y }', 'limits.backend', 1, 'is no backend'],
    ['limits: { backend: disk }', 'limits.backend', 1, 'is no backend'],
    ['log:\n  level: loud', 'log.level', 2, 'unknown value "loud"; one of: trace, debug'],
    ['ledger: { retention: soon }', 'ledger.retention', 1, 'is no duration'],
    ['idempotency: { ttl: 25h }', 'idempotency.ttl', 1, 'must be 24h at most'],
    ['idempotency: { max_bytes: 0 }', 'idempotency.max_bytes', 1, 'must be at least 1'],
    ['providers:\n  x:\n    base_url: ftp://x', 'providers.x.base_url', 3, 'must start with http'],
    [
      'providers:\n  x:\n    base_url: http://u:p@x',
      'providers.x.base_url',
      3,
      'must hold no user',
    ],
    [
      'providers:\n  x:\n    protocol: [smoke]',
      'providers.x.protocol[0]',
      3,
      'unknown value "smoke"',
    ],
    [
      'providers:\n  x:\n    headers: { Host: y }',
      'providers.x.headers.Host',
      3,
      'set by the gateway itself',
    ],
    [
      'providers:\n  x:\n    headers: { a: "b\\nc" }',
      'providers.x.headers.a',
      3,
      'no control characters',
    ],
    [
      'providers:\n  x:\n    params: { region: ../a }',
      'providers.x.params.region',
      3,
      'is no URL part',
    ],
    [
      'providers:\n  x:\n    auth: { kind: header }',
      'providers.x.auth.name',
      3,
      'is required by the kind "header"',
    ],
    ['providers:\n  a/b: {}', 'providers.a/b', 2, 'is no valid name'],
    ['models:\n  m: {}', 'models.m.targets', 2, 'is required'],
    ['models:\n  m:\n    targets: []', 'models.m.targets', 3, 'must have at least 1 entries'],
    [
      'models:\n  gpt-4.1:\n    targets: [{ provider: a }]\n    strategy: best',
      'models["gpt-4.1"].strategy',
      4,
      'unknown value "best"',
    ],
    [
      'models:\n  m:\n    targets:\n      - provider: a\n      - { provider: a, weigth: 1 }',
      'models.m.targets[1].weigth',
      5,
      'Did you mean "weight"?',
    ],
    [
      'models:\n  m:\n    targets: [{ provider: a }]\n    price: { input: -1 }',
      'models.m.price.input',
      4,
      'must be at least 0',
    ],
    [
      'policy:\n  limits:\n    - scope: key\n      algorithm: fixed\n      unit: usd\n      amount: 1',
      'policy.limits[0].window',
      3,
      'is required by the algorithm "fixed"',
    ],
    [
      'policy:\n  limits:\n    - { scope: key, unit: usd, algorithm: lifetime, amount: 1, window: 1h }',
      'policy.limits[0].window',
      3,
      'has no meaning with the algorithm "lifetime"',
    ],
    [
      'policy:\n  limits:\n    - { scope: key, unit: tokens, algorithm: lifetime, amount: 1.5 }',
      'policy.limits[0].amount',
      3,
      'must be a whole number',
    ],
    ...['reserve: lease', 'when_short: shrink', 'min_output: 9'].map(
      (field): [string, string, number, string] => [
        `policy:\n  limits:\n    - { scope: key, unit: requests, algorithm: lifetime, amount: 1, ${field} }`,
        `policy.limits[0].${field.split(':')[0]}`,
        3,
        'has no meaning with the unit "requests"',
      ],
    ),
    [
      'policy:\n  limits:\n    - { scope: key, unit: tokens, algorithm: lifetime, amount: 1, reserve: least }',
      'policy.limits[0].reserve',
      3,
      'lease',
    ],
    [
      'policy:\n  limits:\n    - { scope: key, unit: tokens, algorithm: concurrent, amount: 1 }',
      'policy.limits[0].unit',
      3,
      'go together',
    ],
    [
      'policy:\n  limits:\n    - { id: a, scope: key, unit: tokens, algorithm: lifetime, amount: 1 }\n    - { id: a, scope: user, unit: tokens, algorithm: lifetime, amount: 1 }',
      'policy.limits[1].id',
      4,
      'has the id "a"',
    ],
    ['policy: { max_tokens: 0 }', 'policy.max_tokens', 1, 'must be at least 1'],
    ['policy: { rules: [x] }', 'policy.rules', 1, 'not available in this version'],
    ['policy: { rules: [x] }', 'policy.rules', 1, 'not available in this version'],
    ['policy: { credential: vault:x }', 'policy.credential', 1, 'vault: is not available in this'],
    ['policy: { credential: keychain:x }', 'policy.credential', 1, 'keychain: is not available'],
    ['policy: { credential: none }', 'policy.credential', 1, 'must be env:NAME or file:path'],
    ['policy: { credential: sk-123 }', 'policy.credential', 1, 'is not a secret reference'],
    [
      'policy: { base_key_env: a-b }',
      'policy.base_key_env',
      1,
      'the name of an environment variable',
    ],
    [
      'policy: { credential: "env:A", base_key_env: A }',
      'policy.base_key_env',
      1,
      'says the same as credential',
    ],
    ['policy: { upstream_url: ftp://x }', 'policy.upstream_url', 1, 'must start with http'],
    ['policy: { upstream_url: "http://{a}/" }', 'policy.upstream_url', 1, 'no placeholder'],
    [
      'policy: { prompts: [{ role: tool, content: x }] }',
      'policy.prompts[0].role',
      1,
      'one of: system',
    ],
    ['policy: { prompts: [{ role: system }] }', 'policy.prompts[0].content', 1, 'is required'],
    ['policy: { timeout: 0 }', 'policy.timeout', 1, 'must be at least 1'],
    ['policy: { timeout: { first: 1s } }', 'policy.timeout.first', 1, 'unknown key "first"'],
    ['policy: { timeout: 5, routing: { timeout: 6 } }', 'policy.routing.timeout', 1, 'the same as'],
    ['policy: { retry: { max_retries: 11 } }', 'policy.retry.max_retries', 1, 'at most 10'],
    ['policy: { retry: { retry_on: [200] } }', 'policy.retry.retry_on[0]', 1, 'at least 400'],
    ['policy: { routing: { min_weight: -1 } }', 'policy.routing.min_weight', 1, 'at least 0'],
    [
      'policy: { routing: { max_cost: 1, max_budget_usd: 2 } }',
      'policy.routing.max_budget_usd',
      1,
      'the same as',
    ],
    [
      'policy: { routing: { strategy: best } }',
      'policy.routing.strategy',
      1,
      'unknown value "best"',
    ],
    ['policy: { routing: { hedge: { max: 2 } } }', 'policy.routing.hedge.max', 1, ''],
    ['policy: { memory: { enabled: true } }', 'policy.memory', 1, 'not available in this version'],
    ['credentials: { allowed: [none] }', 'credentials.allowed[0]', 1, 'must be a secret'],
    ['credentials: { allowed: [sk-1] }', 'credentials.allowed[0]', 1, 'is not a secret reference'],
    [
      'policy: { rate_limit: { rules: [{ window: 1m }] } }',
      'policy.rate_limit.rules[0]',
      1,
      'needs requests or tokens',
    ],
    ['policy: { models: ["re:("] }', 'policy.models[0]', 1, 'not a valid RE2 expression'],
    ['policy: { models: 5 }', 'policy.models', 1, 'expected a text or a list or an object'],
    [
      'policy: { models: { allow: [5] } }',
      'policy.models.allow[0]',
      1,
      'expected a text, got a number',
    ],
    ['policy: { models: { alow: x } }', 'policy.models.alow', 1, 'Did you mean "allow"?'],
    ['policy: { overridable: [prompts] }', 'policy.overridable[0]', 1, 'cannot be overridable'],
    ['policy: { endpoints: [chats] }', 'policy.endpoints[0]', 1, 'unknown value "chats"'],
    ['aliases: { a: b }', 'aliases.a', 1, 'expected an object'],
    ['aliases: { a: { variants: [] } }', 'aliases.a.variants', 1, 'at least 1 entries'],
    [
      'aliases: { a: { variants: [{ model: m, weight: 0 }] } }',
      'aliases.a.variants[0].weight',
      1,
      'more than 0',
    ],
    [
      'aliases: { a: { variants: [{ model: m }, { model: m }] } }',
      'aliases.a.variants[1].model',
      1,
      'another variant is "m"',
    ],
    ['routing: { modes: { mine: { cost: 2 } } }', 'routing.modes.mine.cost', 1, 'at most 1'],
    ['routing: { modes: { mine: {} } }', 'routing.modes.mine', 1, 'must weigh something'],
    ['routing: { strategy: best }', 'routing.strategy', 1, 'unknown value "best"'],
    ['routing: { thompson: { window: 5 } }', 'routing.thompson.window', 1, 'at least 20'],
    [
      'virtual_keys:\n  - { name: a, hash: tkn_x }',
      'virtual_keys[0].hash',
      2,
      'never the key itself',
    ],
    [
      `virtual_keys:\n  - { name: a, hash: ${'a'.repeat(64)} }\n  - { name: a, hash: ${'b'.repeat(64)} }`,
      'virtual_keys[1].name',
      3,
      'another key has this name',
    ],
    ['policy: { __proto__: { a: 1 } }', 'policy.__proto__', 1, 'unknown key "__proto__"'],
    ['a: [1', '', 1, ''],
    ['server: {}\nserver: {}', '', 2, 'unique'],
    ['- a', '', 1, 'expected an object, got a list'],
  ])('%j', (text, path, line, message) => {
    const problems = problemsOf(() => load(text))
    expect(problems.map((one) => [one.path, one.line])).toContainEqual([path, line])
    expect(problems.map((one) => one.message).join('\n')).toContain(message)
    expect(problems).toHaveLength(text === 'a: [1' ? problems.length : 1)
  })

  it.each([
    ['- a', ''],
    ['server: [1, 2]', 'server'],
    ['server: text', 'server'],
  ])('refuses %j also under an override', (text, path) => {
    const overrides = { 'server.port': 2 }
    for (const one of [{ overrides }, { env: { TOLLGATE_SERVER__PORT: '2' } }]) {
      const problems = problemsOf(() => load(text, one))
      expect(problems.map((problem) => problem.path)).toEqual([path])
      expect(problems[0]?.message).toContain('expected an object')
    }
  })

  it('tells every problem at once, in the order of the file', () => {
    const problems = problemsOf(() => load('server: { port: x }\nlog: { level: 5 }\nfoo: 1\n'))
    expect(problems.map(({ path, line }) => [path, line])).toEqual([
      ['server.port', 1],
      ['log.level', 2],
      ['foo', 3],
    ])
  })

  it('names file, line, column and path in the message', () => {
    expect(() => load('server:\n  port: x\n')).toThrow(
      `${join(folder, 'tollgate.yaml')}:2:9: server.port: expected a number, got a text`,
    )
  })
})

describe('formats', () => {
  it('reads TOML, with lines', () => {
    const text =
      '[server]\nport = 9000\n[providers."my.own"]\nbase_url = "nope"\n[[policy.limits]]\nscope = "key"\nunit = "x"\n'
    expect(load('[server]\nport = 9000\n', {}, 'a.toml').config.server.port).toBe(9000)
    const problems = problemsOf(() => load(text, {}, 'a.toml'))
    expect(problems.map(({ path, line }) => [path, line])).toEqual([
      ['providers["my.own"].base_url', 4],
      ['policy.limits[0].unit', 7],
    ])
    expect(problemsOf(() => load('a = 1\nb = \n', {}, 'a.toml'))[0]?.line).toBe(2)
  })

  it('reads JSON, with lines, and nothing that only YAML would take', () => {
    expect(load('{"server": {"port": 9000}}', {}, 'a.json').config.server.port).toBe(9000)
    const wrong = problemsOf(() => load('{\n  "server": {\n    "port": "x"\n  }\n}', {}, 'a.json'))
    expect(wrong.map(({ path, line, column }) => [path, line, column])).toEqual([
      ['server.port', 3, 13],
    ])
    expect(problemsOf(() => load('{server: {}}', {}, 'a.json'))).toHaveLength(1)
    expect(problemsOf(() => load('{"dir": "a",\n"dir": "b"}', {}, 'a.json'))[0]?.line).toBe(2)
  })
})

describe('environment', () => {
  it('overrides every key', () => {
    const { config, fromEnv } = load(WHOLE, {
      env: {
        TOLLGATE_SERVER__PORT: '9000',
        TOLLGATE_DIR: '~/elsewhere',
        TOLLGATE_LEDGER__ENABLED: 'false',
        TOLLGATE_SERVER__TRUSTED_PROXIES: '["::1"]',
        TOLLGATE_POLICY__LIMITS__0__AMOUNT: '7',
        TOLLGATE_MODELS__GPT_4O_MINI__CONTEXT: '5',
        TOLLGATE_PROVIDERS__LOCAL__HEADERS: '{"x-a": "1"}',
        TOLLGATE_VIRTUAL_KEYS: '[]',
        TOLLGATE_ADMIN_TOKEN: 'x',
        UNRELATED: 'x',
      },
    })
    expect(config.server).toMatchObject({ port: 9000, trusted_proxies: ['::1'] })
    expect(config.dir).toBe(join(homedir(), 'elsewhere'))
    expect(config.ledger.enabled).toBe(false)
    expect(config.policy.limits?.[0]?.amount).toBe(7)
    expect(config.models['gpt-4o-mini']?.context).toBe(5)
    expect(config.providers['local']?.headers).toEqual({ 'x-a': '1' })
    expect(config.admin.token?.reveal()).toBe('x')
    expect(fromEnv).toHaveLength(8)
  })

  it('reads a number as text where text belongs, and a secret as a reference', () => {
    const { config } = load('', {
      env: { TOLLGATE_SERVER__HOST: '127001', TOLLGATE_ADMIN__TOKEN: '12345' },
    })
    expect(config.server.host).toBe('127001')
    expect([config.admin.token?.reference, config.admin.token?.reveal()]).toEqual([
      'env:TOLLGATE_ADMIN__TOKEN',
      '12345',
    ])
  })

  it.each<[string, string, string, string]>([
    ['TOLLGATE_SERVR__PORT', '1', 'TOLLGATE_SERVR__PORT', 'Did you mean TOLLGATE_SERVER__PORT?'],
    ['TOLLGATE_SERVER__PROT', '1', 'server.prot', 'Did you mean "port"? (TOLLGATE_SERVER__PROT)'],
    [
      'TOLLGATE_SERVER__PORT',
      'x',
      'server.port',
      'expected a number, got a text (TOLLGATE_SERVER__PORT)',
    ],
    ['TOLLGATE_WHATEVER', '1', 'TOLLGATE_WHATEVER', 'unknown variable'],
  ])('%s=%s is an error', (name, value, path, message) => {
    const [problem] = problemsOf(() => load('', { env: { [name]: value } }))
    expect([problem?.path, problem?.line]).toEqual([path, null])
    expect(problem?.message).toContain(message)
  })

  it.each(['TOLLGATE_KEY', 'TOLLGATE_PROXY_URL', 'TOLLGATE_ADMIN_URL', 'TOLLGATE_DEBUG'])(
    'leaves %s to the command line',
    (name) => {
      expect(load('', { env: { [name]: 'x' } }).fromEnv).toEqual([])
    },
  )

  it('does not take a secret that the file refers to for an override', () => {
    const { config } = load('admin: { token: env:TOLLGATE_MY_SECRET }', {
      env: { TOLLGATE_MY_SECRET: 's' },
    })
    expect(config.admin.token?.reveal()).toBe('s')
  })

  it('gives way to the command line', () => {
    const { config } = load('', {
      env: { TOLLGATE_SERVER__PORT: '1' },
      overrides: { 'server.port': 2 },
    })
    expect(config.server.port).toBe(2)
  })
})

describe('search', () => {
  it('looks in the working directory, then in the data directory, unless a file is named', () => {
    const cwd = join(folder, 'search')
    mkdirSync(join(cwd, '.tollgate'), { recursive: true })
    const find = (env: Record<string, string> = {}): string | null => findConfigFile({ env, cwd })
    expect(find()).toBeNull()
    writeFileSync(join(cwd, '.tollgate', 'tollgate.toml'), '')
    expect(find()).toBe(join(cwd, '.tollgate', 'tollgate.toml'))
    writeFileSync(join(cwd, 'tollgate.json'), '{}')
    expect(find()).toBe(join(cwd, 'tollgate.json'))
    expect(find({ TOLLGATE_CONFIG: 'x.yaml' })).toBe(join(cwd, 'x.yaml'))
    expect(findConfigFile({ env: {}, cwd, configPath: '/y.yaml' })).toBe('/y.yaml')
  })

  it('fails for a named file that is not there', () => {
    expect(() => loadConfig({ env: {}, cwd: folder, configPath: 'gone.yaml' })).toThrow(
      'there is no such file',
    )
  })
})

describe('secrets', () => {
  it('never print', () => {
    const { config } = load(
      'providers: { x: { credential: env:KEY, headers: { a: hush-hush } } }',
      { env: { KEY: 'hush-hush' } },
    )
    const secret = config.providers['x']?.credential
    expect(
      `${String(secret)} ${JSON.stringify({ secret })} ${inspect({ secret }, { depth: 9, showHidden: true })}`,
    ).not.toContain('hush')
    expect(JSON.stringify(redactConfig(config))).not.toContain('hush')
    expect(redactConfig(config)['providers']).toEqual({
      x: { credential: 'env:KEY', headers: { a: '***' } },
    })
  })

  it('are not in messages', () => {
    const problems = problemsOf(() => load('', { env: { TOLLGATE_KEYS__HASH_KEY: 'vault:hush' } }))
    expect(problems.map(({ message }) => message).join('')).not.toContain('hush')
  })
})

describe('JSON Schema', () => {
  it('describes the file and the policy', () => {
    const schema = configJsonSchema()
    expect(schema['$schema']).toContain('2020-12')
    expect(schema['required']).toBeUndefined()
    expect(JSON.stringify(schema)).toContain('"max_document_body"')
    expect(JSON.stringify(policyJsonSchema())).toContain('"refill_per_sec"')
    expect(JSON.stringify(schema).length).toBeLessThan(100_000)
  })
})

describe('half-written files', () => {
  it('load whole, or not at all, at any prefix', () => {
    let loaded = 0
    for (let i = 0; i < 1_000; i++) {
      const text = WHOLE.slice(0, Math.floor((i / 1_000) * WHOLE.length))
      const problems = problemsOf(() => {
        const { config } = load(text, {}, 'prefix.yaml')
        expect(Object.keys(config)).toHaveLength(19)
        for (const name of Object.keys(config.providers)) expect(text).toContain(name)
        expect(config.policy.limits?.every((limit) => limit.unit !== undefined) ?? true).toBe(true)
        loaded++
      })
      expect(problems.every(({ message }) => message !== '')).toBe(true)
    }
    expect(loaded).toBeGreaterThan(10)
  }, 30_000)
})
