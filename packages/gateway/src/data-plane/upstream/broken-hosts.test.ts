import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { CLIENT_CALLS, CLIENT_IDS } from '../../testing/client-calls.ts'
import {
  ask,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../../testing/data-plane-harness.ts'
import { type Resolve, UpstreamPools } from './pools.ts'

let harness: Harness
afterEach(() => harness.close())

async function start(upstreamUrl: string, resolve?: Resolve): Promise<void> {
  harness = await startHarness({
    upstreamUrl,
    provider: {
      protocol: [...CLIENT_IDS],
      allow_private: resolve === undefined,
      timeouts: { connect: '400ms', first_byte: '2s' },
    },
    ...(resolve === undefined ? {} : { pools: new UpstreamPools(resolve) }),
  })
}

function failing(code: string): Resolve {
  return (_name, _options, callback) => callback(Object.assign(new Error(code), { code }), [])
}

describe('a name that cannot be resolved', () => {
  it.each<[string, Resolve, string]>([
    ['that nobody knows', failing('ENOTFOUND'), 'upstream_unreachable'],
    ['whose server is down', failing('EAI_AGAIN'), 'upstream_unreachable'],
    ['whose server is silent', () => {}, 'upstream_timeout'],
  ])('%s is told within three seconds, on every protocol', async (_what, resolve, code) => {
    await start('http://nowhere.test', resolve)
    for (const id of CLIENT_IDS) {
      const startedMs = performance.now()
      const answer = await ask(harness, CLIENT_CALLS[id].whole)
      expect(performance.now() - startedMs).toBeLessThan(3000)
      expect([502, 504]).toContain(answer.status)
      expect(answer.body.toString()).not.toContain('nowhere.test')
      expect(harness.records.at(-1)).toMatchObject({ errorClass: code, costNanoUsd: 0 })
    }
    expect(leftovers(harness)).toEqual(NOTHING_LEFT)
  })
})

function hasOpenssl(): boolean {
  return spawnSync('openssl', ['version']).status === 0
}

describe('a certificate that nobody vouches for', () => {
  it.skipIf(!hasOpenssl())('ends the call before a byte of it is sent', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-tls-'))
    const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
    execFileSync('openssl', [...kind, '-nodes', '-keyout', key, '-out', cert, ...subject], {
      stdio: 'ignore',
    })
    let requests = 0
    const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, () => {
      requests++
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await start(`https://127.0.0.1:${port}`)
    const answer = await ask(harness, CLIENT_CALLS['openai-chat'].whole)
    expect(answer.status).toBe(502)
    expect(harness.records[0]).toMatchObject({ errorClass: 'upstream_unreachable', costNanoUsd: 0 })
    expect(requests).toBe(0)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
  })
})
