import type { GatewayConfig } from '../../config/gateway-config.ts'
import { loadConfig } from '../../config/load-config.ts'
import type { CatalogueModel, ModelCatalogue } from '../../contracts/catalogue.ts'
import type { KeyRecord } from '../../contracts/key.ts'
import type { ProviderFacts } from '../../contracts/provider.ts'
import { compilePlan, type PlanInput } from '../compile-plan.ts'
import type { GatewayPlan, ProviderPlan } from '../gateway-plan.ts'
import { namelessKey } from '../nameless-key.ts'

/** A configuration as it would be loaded from JSON text; `over` is the file's content. */
export function testConfig(over: Readonly<Record<string, unknown>> = {}): GatewayConfig {
  const overrides = Object.fromEntries(Object.entries(over))
  return loadConfig({ env: { LOCAL_KEY: 'local-secret' }, cwd: '/nonexistent', overrides }).config
}

const ACME: ProviderFacts = {
  id: 'acme',
  title: 'Acme',
  baseUrl: 'https://api.acme.test/v1',
  protocols: ['openai-chat'],
  auth: { kind: 'bearer' },
  credentialEnv: 'ACME_KEY',
  baseUrlEnv: null,
  headers: { 'x-static': 'one' },
  query: {},
  paths: {},
  allowPrivate: false,
  failures: { 418: 'overloaded' },
  onClientAbort: 'abort',
  unavailable: null,
  models: [],
}

export const CATALOGUE: ReadonlyMap<string, ProviderFacts> = new Map([
  ['acme', ACME],
  [
    'regional',
    {
      ...ACME,
      id: 'regional',
      baseUrl: 'https://{resource}.acme.test/{region}',
      credentialEnv: null,
      auth: { kind: 'none' },
      paths: { chat: '/{region}/{model}/chat' },
    },
  ],
  ['later', { ...ACME, id: 'later', unavailable: 'needs request signing' }],
])

export const KNOWN_MODEL: CatalogueModel = {
  price: {
    base: {
      inputPicoUsd: 150_000,
      outputPicoUsd: 600_000,
      cacheReadPicoUsd: 75_000,
      cacheWrite5mPicoUsd: 150_000,
      cacheWrite1hPicoUsd: 150_000,
      reasoningPicoUsd: null,
    },
    tiers: [],
  },
  contextTokens: 128_000,
  maxOutputTokens: 16_384,
  tokenizer: 'o200k_base',
}

export const MODELS: ModelCatalogue = {
  find: (provider, model) => (provider === 'acme' && model === 'acme-1' ? KNOWN_MODEL : null),
  modelsOf: (provider) => (provider === 'acme' ? ['acme-1'] : []),
}

export function testPlan(
  config: Readonly<Record<string, unknown>>,
  input: Partial<PlanInput> = {},
): GatewayPlan {
  return compilePlan({
    config: testConfig(config),
    catalogue: CATALOGUE,
    models: MODELS,
    storedPolicies: [],
    revision: 1,
    env: { ACME_KEY: 'acme-secret' },
    ...input,
  })
}

export function testProvider(): ProviderPlan {
  const provider = testPlan({
    providers: {
      local: { protocol: 'openai-chat', base_url: 'http://local.test:9', credential: 'none' },
    },
  }).providers.get('local')
  if (provider === undefined) throw new Error('the fixture has no provider')
  return provider
}

export function testKey(over: Partial<KeyRecord> = {}): KeyRecord {
  return {
    ...namelessKey('key_1', 'test'),
    name: 'one',
    last4: 'abcd',
    hash: '00',
    ...over,
  }
}
