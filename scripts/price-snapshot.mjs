#!/usr/bin/env node
/**
 * Writes packages/gateway/src/catalogue/models.snapshot.json from the npm package @earendil-works/pi-ai.
 *
 *   node scripts/price-snapshot.mjs [version]
 *
 * The package is only unpacked into a temporary folder, never installed. Image and classifier models are left out:
 * they are not billed per token of text.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PACKAGE = '@earendil-works/pi-ai'
const OUT = new URL('../packages/gateway/src/catalogue/models.snapshot.json', import.meta.url)

/** The package's provider ids → ours. What we have no entry for is left out. */
const PROVIDERS = {
  'amazon-bedrock': 'bedrock',
  anthropic: 'anthropic',
  azure: 'azure_openai',
  cerebras: 'cerebras',
  deepseek: 'deepseek',
  fireworks: 'fireworks',
  google: 'google_gemini',
  'google-vertex': 'vertex_ai',
  groq: 'groq',
  mistral: 'mistral',
  moonshotai: 'moonshot',
  nvidia: 'nvidia_nim',
  openai: 'openai',
  openrouter: 'openrouter',
  together: 'together',
  xai: 'xai',
}

const folder = mkdtempSync(join(tmpdir(), 'price-snapshot-'))
try {
  const version = process.argv[2] ?? 'latest'
  const packed = execFileSync('npm', ['pack', '--json', `${PACKAGE}@${version}`], { cwd: folder })
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  if (archive === undefined) throw new Error(`npm pack gave no archive: ${packed}`)
  execFileSync('tar', ['xzf', archive], { cwd: folder })
  const root = join(folder, 'package')
  const { version: read, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const snapshot = {
    source: `npm:${PACKAGE}`,
    version: read,
    license,
    date: new Date().toISOString().slice(0, 10),
    fields:
      'input, output, cache read, cache write (USD per million tokens); context, max output (tokens); tiers',
    text_only: readTextOnly(join(root, 'dist', 'providers', 'data')),
    providers: readProviders(join(root, 'dist', 'providers', 'data')),
  }
  writeFileSync(OUT, print(snapshot))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Models that take no images, of each provider. */
function readTextOnly(data) {
  const entries = Object.entries(PROVIDERS).map(([theirs, ours]) => {
    const ids = chatModels(data, theirs)
      .filter(({ input }) => Array.isArray(input) && !input.includes('image'))
      .map(({ id }) => id)
    return [ours, ids.sort((a, b) => (a < b ? -1 : 1))]
  })
  return Object.fromEntries(
    entries.filter(([, ids]) => ids.length > 0).sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

function chatModels(data, provider) {
  const byApi = JSON.parse(readFileSync(join(data, `${provider}.json`), 'utf8'))
  return Object.values(byApi)
    .flatMap((api) => Object.values(api))
    .filter((model) => model.type === 'chat' && model.cost !== undefined)
}

function readProviders(data) {
  const entries = Object.entries(PROVIDERS).map(([theirs, ours]) => {
    const models = chatModels(data, theirs).map((model) => [model.id, row(model)])
    return [ours, Object.fromEntries(models.sort(([a], [b]) => (a < b ? -1 : 1)))]
  })
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function row(model) {
  const { cost } = model
  const tiers = (cost.tiers ?? []).map((tier) => [tier.inputTokensAbove].concat(rates(tier)))
  const base = [...rates(cost), model.contextWindow ?? null, model.maxTokens ?? null]
  return tiers.length === 0 ? base : [...base, tiers]
}

function rates(cost) {
  return [cost.input, cost.output, cost.cacheRead ?? 0, cost.cacheWrite ?? 0]
}

/** One model per line, so that a refresh can be reviewed as a diff. */
function print({ providers, ...head }) {
  const lines = Object.entries(providers).map(([id, models]) => {
    const rows = Object.entries(models).map(
      ([model, values]) => `${JSON.stringify(model)}:${JSON.stringify(values)}`,
    )
    return `${JSON.stringify(id)}:{\n${rows.join(',\n')}\n}`
  })
  const opening = JSON.stringify(head).slice(0, -1)
  return `${opening},"providers":{\n${lines.join(',\n')}\n}}\n`
}
