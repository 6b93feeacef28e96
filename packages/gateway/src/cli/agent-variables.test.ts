import { describe, expect, it } from 'vitest'
import {
  childVariables,
  hiddenVariables,
  programName,
  PROVIDER_CHOICES,
  providerForProgram,
  UNSERVED,
  variables,
  wordsFor,
} from './agent-variables.ts'

const AT = { proxyUrl: 'http://h:1', key: 'tkn_k' }

describe('variables', () => {
  it.each([
    ['generic', { OPENAI_API_KEY: 'tkn_k', OPENAI_BASE_URL: 'http://h:1/v1' }],
    ['openai', { OPENAI_API_KEY: 'tkn_k', OPENAI_BASE_URL: 'http://h:1/v1' }],
    ['anthropic', { ANTHROPIC_API_KEY: 'tkn_k', ANTHROPIC_BASE_URL: 'http://h:1' }],
    ['azure', { AZURE_OPENAI_API_KEY: 'tkn_k', AZURE_OPENAI_ENDPOINT: 'http://h:1' }],
    ['gemini', { GEMINI_API_KEY: 'tkn_k', GEMINI_BASE_URL: 'http://h:1' }],
    [
      'both',
      {
        OPENAI_API_KEY: 'tkn_k',
        OPENAI_BASE_URL: 'http://h:1/v1',
        ANTHROPIC_API_KEY: 'tkn_k',
        ANTHROPIC_BASE_URL: 'http://h:1',
      },
    ],
  ])('of %s', (provider, wanted) => {
    expect(variables({ ...AT, provider })).toEqual(wanted)
  })

  it('has four pairs for all', () => {
    expect(Object.keys(variables({ ...AT, provider: 'all' }))).toHaveLength(8)
  })

  it.each([
    [{ envKey: 'K' }, { K: 'tkn_k', OPENAI_BASE_URL: 'http://h:1/v1' }],
    [{ envBaseUrl: 'U' }, { OPENAI_API_KEY: 'tkn_k', U: 'http://h:1/v1' }],
  ])('takes own names %j and only them', (own, wanted) => {
    expect(variables({ ...AT, provider: 'both', ...own })).toEqual(wanted)
  })

  it('gives the bare address to own names without a provider', () => {
    const own = { provider: 'own-names', envKey: 'K', envBaseUrl: 'U' }
    expect(variables({ ...AT, ...own })).toEqual({ K: 'tkn_k', U: 'http://h:1' })
  })
})

describe('for a child', () => {
  it('sets former names of the URL too', () => {
    expect(childVariables({ ...AT, provider: 'openai' })).toMatchObject({
      OPENAI_BASE_URL: 'http://h:1/v1',
      OPENAI_API_BASE: 'http://h:1/v1',
    })
  })

  it.each([
    ['openai', ['OPENAI_API_KEY', 'OPENAI_ORG_ID', 'OPENAI_PROJECT_ID']],
    ['anthropic', ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN']],
    ['gemini', ['GEMINI_API_KEY', 'GOOGLE_API_KEY']],
    ['both', ['OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN']],
  ])('%s hides real credentials', (provider, names) => {
    expect(hiddenVariables(provider)).toEqual(expect.arrayContaining(names))
  })

  it.each([
    ['claude', 'both'],
    ['codex', 'both'],
    ['python', 'both'],
    ['gemini', 'all'],
    ['az', 'all'],
  ])('%s gets %s', (program, provider) => expect(providerForProgram(program)).toBe(provider))

  it('codex is told by its command line', () => {
    const words = wordsFor(['/opt/codex', 'exec', 'hi'], 'http://h:1')
    expect(words).toContain('model_providers.tollgate.base_url="http://h:1/v1"')
    expect(words).toContain('model_providers.tollgate.env_key="TOLLGATE_KEY"')
    expect([words[0], words.at(-1)]).toEqual(['/opt/codex', 'hi'])
    expect(wordsFor(['claude', '-p'], 'http://h:1')).toEqual(['claude', '-p'])
  })

  it.each([
    ['/usr/bin/claude', 'claude'],
    ['C:\\tools\\Claude.CMD', 'claude'],
    ['./app.py', 'app.py'],
    ['gemini', 'gemini'],
  ])('%s is the program %s', (command, name) => expect(programName(command)).toBe(name))
})

it('says of every provider that is not served that it can be chosen', () => {
  expect(PROVIDER_CHOICES).toEqual(expect.arrayContaining([...UNSERVED.keys()]))
})
