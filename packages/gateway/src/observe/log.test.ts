import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { usageRecord } from '../testing/usage-record.ts'
import { accessLogSink } from './access-log.ts'
import { createLogger, type LogOptions, type RootLogger } from './log.ts'
import { createSecretRegistry } from './secret-registry.ts'

function capture(options: Partial<LogOptions> = {}): { lines: string[]; logger: RootLogger } {
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    format: 'json',
    secrets: createSecretRegistry(),
    write: (line) => void lines.push(line),
    ...options,
  })
  return { lines, logger }
}

describe('logger', () => {
  it('writes one JSON line with level, time and message', () => {
    const { lines, logger } = capture()
    logger.warn({ request_id: 'req_1', count: 2 }, 'something')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      msg: 'something',
      request_id: 'req_1',
      count: 2,
    })
  })

  it('changes its level while it runs', () => {
    const { lines, logger } = capture({ level: 'warn' })
    logger.info({}, 'hidden')
    logger.setLevel('debug')
    logger.debug({}, 'shown')
    logger.setLevel('silent')
    logger.error({}, 'hidden')
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['shown'])
    expect(logger.enabled('error')).toBe(false)
  })

  it('redacts by name at any depth, and leaves counts of tokens alone', () => {
    const { lines, logger } = capture()
    const secret = 'plain-value-nobody-registered'
    logger.info(
      {
        headers: { Authorization: secret, 'X-Api-Key': secret, 'set-cookie': [secret] },
        list: [{ access_token: secret, api_key: secret }],
        credential: secret,
        clientSecret: { nested: secret },
        key: secret,
        input_tokens: 5,
        max_token: 6,
        key_id: 'key_1',
        key_name: 'laptop',
      },
      'names',
    )
    expect(lines.join('')).not.toContain(secret)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      input_tokens: 5,
      max_token: 6,
      key_id: 'key_1',
      key_name: 'laptop',
    })
  })

  it('redacts errors with their causes, and keeps what they say', () => {
    const secrets = createSecretRegistry()
    secrets.add('sk-live-0123456789')
    const { lines, logger } = capture({ secrets })
    const cause = Object.assign(new Error('401 for sk-live-0123456789'), { password: 'hunter22' })
    logger.error({ err: new Error('call failed', { cause }) }, 'failed')
    expect(lines[0]).toContain('call failed')
    expect(lines[0]).toContain('401 for [redacted]')
    expect(lines[0]).not.toMatch(/sk-live|hunter22/)
  })

  for (const format of ['json', 'pretty'] as const) {
    it(`writes exactly one line whatever the values hold (${format})`, () => {
      const { lines, logger } = capture({ format })
      const hostile = 'a\r\nb\u2028c\u0085d\u001b[2Je\u202ef"g\u0000'
      logger.info({ [hostile]: hostile, list: [hostile] }, hostile)
      accessLogSink(logger)(usageRecord({ requestId: hostile, model: hostile, target: hostile }))
      expect(lines).toHaveLength(2)
      expect(lines[0]).toContain('a\\')
      // oxlint-disable-next-line no-control-regex -- what must not get through
      const oneLine = /^[^\u0000-\u001f\u007f-\u009f\u2028\u202e]+\n$/
      for (const line of lines) expect(line).toMatch(oneLine)
    })
  }

  it('never throws into its caller', () => {
    const { lines, logger } = capture()
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    const hostile = {
      get trap(): string {
        throw new Error('getter')
      },
    }
    logger.info(cyclic, 'cyclic')
    logger.info({ hostile }, 'trap')
    logger.info({ big: 10n, bytes: Buffer.from('x'), none: undefined }, 'odd')
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['cyclic', 'odd'])
  })

  it('writes an access line that is JSON, without address or user agent, and none above info', () => {
    const { lines, logger } = capture()
    const sink = accessLogSink(logger)
    sink(usageRecord({ requestId: 'req_1', clientIp: '10.9.8.7', model: null, ttftMs: 12.34 }))
    logger.setLevel('warn')
    sink(usageRecord())
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toContain('10.9.8.7')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      msg: 'request',
      request_id: 'req_1',
      model: null,
      status: 200,
      attempts: 1,
      cost_nanousd: 27_000,
      ttft_ms: 12.3,
    })
  })
})

describe('secret registry', () => {
  it('removes a registered value in every form it may be written in', () => {
    for (let round = 0; round < 200; round++) {
      const secret = `s/"k\\ä +${randomBytes(6 + (round % 20)).toString('base64')}`
      const secrets = createSecretRegistry()
      secrets.add(secret)
      const forms = [
        secret,
        JSON.stringify(secret),
        Buffer.from(secret).toString('hex'),
        Buffer.from(secret).toString('hex').toUpperCase(),
        Buffer.from(secret).toString('base64'),
        Buffer.from(secret).toString('base64url'),
        Buffer.from(`user:${secret}`).toString('base64'),
        Buffer.from(`u:${secret}:tail`).toString('base64'),
        Buffer.from(`us:${secret}x`).toString('base64url'),
        encodeURIComponent(secret),
        new URLSearchParams({ secret }).toString(),
      ]
      for (const form of forms) {
        const clean = secrets.redact(`before ${form} after`)
        expect(clean).toMatch(/^before .*\[redacted\].* after$/)
        // What is left of a form at its edges reveals at most a few characters.
        expect(clean.length).toBeLessThan('before [redacted] after'.length + 22)
      }
    }
  })

  it('removes whatever looks like a virtual key, registered or not', () => {
    const { redact } = createSecretRegistry()
    expect(redact('Bearer tkn_0123456789abcdefABCDEF, tkn_short')).toBe(
      'Bearer [redacted], tkn_short',
    )
  })

  it('returns other text unchanged and ignores values too short to be secrets', () => {
    const secrets = createSecretRegistry()
    secrets.add('error')
    secrets.add('')
    const text = 'an error with tkn_ and 日本語'
    expect(secrets.redact(text)).toBe(text)
  })

  it('removes neighbours, repetitions and the longest of two that begin alike', () => {
    const secrets = createSecretRegistry()
    secrets.add('abcdefgh')
    secrets.add('abcdefghij')
    expect(secrets.redact('abcdefghijabcdefgh abcdefgh')).toBe('[redacted][redacted] [redacted]')
  })
})
