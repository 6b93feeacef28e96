/** The directory of the gateway's modules, from the root of the repository. */
export const SOURCE = 'packages/gateway/src'

/** Who may import whom, besides itself: the same table as in ARCHITECTURE.md, which a test compares. */
export const ZONES: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  errors: ['lib'],
  contracts: ['errors', 'lib'],
  protocols: ['contracts', 'errors', 'lib'],
  tokenizers: ['contracts', 'errors', 'lib'],
  catalogue: ['contracts', 'errors', 'lib'],
  providers: ['protocols', 'contracts', 'errors', 'lib'],
  storage: ['contracts', 'errors', 'lib'],
  exporters: ['contracts', 'errors', 'lib'],
  config: ['contracts', 'errors', 'lib'],
  plan: ['config', 'contracts', 'errors', 'lib'],
  'data-plane': ['plan', 'protocols', 'contracts', 'errors', 'lib'],
  workers: ['data-plane', 'plan', 'contracts', 'errors', 'lib'],
  observe: ['data-plane', 'plan', 'contracts', 'errors', 'lib'],
  'control-plane': ['observe', 'data-plane', 'plan', 'config', 'contracts', 'errors', 'lib'],
  cli: ['control-plane', 'config', 'contracts', 'errors', 'lib'],
}

/** npm packages that each zone may import; every zone may import `node:` modules. */
export const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'data-plane': ['undici'],
  config: ['zod', 'yaml', 'smol-toml', 're2js'],
  providers: ['gpt-tokenizer'],
  storage: ['kysely', 'better-sqlite3', '@redis/client', 'pg'],
  exporters: ['prom-client'],
  observe: ['pino'],
  tokenizers: ['gpt-tokenizer'],
  'control-plane': ['hono', '@hono/node-server', 'zod'],
  cli: ['commander'],
}
