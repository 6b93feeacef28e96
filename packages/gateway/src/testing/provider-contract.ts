import { describe, expect, it } from 'vitest'
import type { ProviderFacts } from '../contracts/provider.ts'

const PLACEHOLDER = /\{[^{}]*\}/g
const SERVED_PROTOCOLS = new Set([
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'gemini',
  'bedrock-converse',
])
const LOCAL_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]'])
/** Set by the gateway itself, or secret: never static. */
const OWN_HEADERS = new Set([
  'authorization',
  'cookie',
  'host',
  'content-length',
  'content-type',
  'transfer-encoding',
  'connection',
])

/** What every entry of the catalogue keeps. A suite per entry, so that a vendor that breaks a promise is named. */
export function providerContract(facts: ProviderFacts): void {
  describe(`${facts.id}: provider contract`, () => {
    it('has an id and a title that people can write', () => {
      expect(facts.id).toMatch(/^[a-z][a-z0-9_]{1,31}$/)
      expect(facts.title.trim()).toBe(facts.title)
      expect(facts.title).not.toBe('')
    })

    it('has a base URL: https, or a local server; no query, no trailing slash', () => {
      const url = new URL(filled(facts.baseUrl))
      expect(facts.baseUrl.endsWith('/')).toBe(false)
      expect(url.search + url.hash + url.username + url.password).toBe('')
      expect(url.protocol).toBe(LOCAL_HOSTS.has(url.hostname) ? 'http:' : 'https:')
    })

    it('may dial special-use addresses only as a local server', () => {
      const { hostname } = new URL(filled(facts.baseUrl))
      expect(facts.allowPrivate).toBe(LOCAL_HOSTS.has(hostname))
    })

    it('has no placeholder but plain names, and `model` only in paths', () => {
      for (const template of [facts.baseUrl, ...Object.values(facts.paths)]) {
        expect(template.replaceAll(/\{[a-z][a-z_]*\}/g, '')).not.toMatch(/[{}]/)
      }
      expect(facts.baseUrl).not.toContain('{model}')
      for (const path of Object.values(facts.paths)) expect(path).toMatch(/^\/[^?#]*$/)
    })

    it('never puts a credential into a URL that logs would keep', () => {
      const texts = [facts.baseUrl, ...Object.values(facts.paths), ...Object.values(facts.query)]
      expect(texts.join('\n')).not.toMatch(/\{(?:api_?key|key|token|secret|credential)\}/i)
      expect(facts.auth.kind).not.toBe('query')
    })

    it('has lower-case header names and none that the gateway sets', () => {
      const own = facts.auth.kind === 'header' ? [facts.auth.name] : []
      const names = [...Object.keys(facts.headers), ...own]
      expect(names.filter((name) => !/^[a-z0-9-]+$/.test(name) || OWN_HEADERS.has(name))).toEqual(
        [],
      )
      expect(new Set(names).size).toBe(names.length)
    })

    it('names its environment variables', () => {
      const names = [facts.credentialEnv, facts.baseUrlEnv].filter((name) => name !== null)
      expect(names.filter((name) => !/^[A-Z][A-Z0-9_]+$/.test(name))).toEqual([])
      expect(facts.credentialEnv !== null || facts.allowPrivate).toBe(true)
    })

    it('speaks a protocol of this build, or says why it cannot be used', () => {
      expect(facts.protocols.length).toBeGreaterThan(0)
      const served = facts.protocols.every((protocol) => SERVED_PROTOCOLS.has(protocol))
      const sendable = facts.auth.kind !== 'unavailable'
      expect(facts.unavailable).not.toBe('')
      expect((served && sendable) || facts.unavailable !== null).toBe(true)
    })

    it('gives up on a malformed request: no other target would take it', () => {
      expect(facts.failures[400] ?? 'client').toBe('client')
    })

    it('never takes a rate limit or an overload for the caller’s fault', () => {
      for (const status of [429, 503, 529]) expect(facts.failures[status]).not.toBe('client')
      for (const status of Object.keys(facts.failures)) expect(status).toMatch(/^[45]\d\d$/)
    })

    it('lists each model once', () => {
      expect(new Set(facts.models).size).toBe(facts.models.length)
      for (const model of facts.models) expect(model).toMatch(/^\S{1,256}$/)
    })
  })
}

function filled(template: string): string {
  return template.replaceAll(PLACEHOLDER, 'x')
}
