import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../packages/gateway/src/config/load-config.ts'
import { readSource } from '../packages/gateway/src/config/read-source.ts'
import type { GatewayConfig } from '../packages/gateway/src/config/gateway-config.ts'
import { parseDurationMs } from '../packages/gateway/src/lib/duration.ts'
import { isRecord } from '../packages/gateway/src/lib/is-record.ts'

const ROOT = path.join(import.meta.dirname, '..')
const DEPLOY = path.join(ROOT, 'deploy')
const read = (file: string): string => readFileSync(path.join(DEPLOY, file), 'utf8')
/** Instructions may go on in the next line. */
const DOCKERFILE = read('docker/Dockerfile').replaceAll(/\\\n\s*/g, '')
const UNIT = read('systemd/tollgate.service')

function instructions(name: string): readonly string[] {
  return [...DOCKERFILE.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest = '']) => rest)
}

function settings(name: string): readonly string[] {
  return [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value)
}

/** What the program makes of these variables; the configuration file itself is left out. */
function configured(variables: readonly string[]): GatewayConfig {
  const pairs = variables
    .map((one) => one.split('='))
    .filter(([name]) => name !== 'TOLLGATE_CONFIG')
  return loadConfig({ env: Object.fromEntries(pairs), cwd: '/nonexistent' }).config
}

function member(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce((at: unknown, name) => (isRecord(at) ? at[name] : undefined), value)
}

function compose(...names: readonly string[]): unknown {
  const result = readSource(read('compose/compose.yaml'), 'compose.yaml')
  return result.ok ? member(result.source.data, ...names) : undefined
}

describe('the image', () => {
  it('copies only what exists', () => {
    const sources = instructions('COPY').flatMap((copy) =>
      copy.startsWith('--from') ? [] : copy.split(' ').slice(0, -1),
    )
    expect(sources.length).toBeGreaterThan(5)
    expect(sources.filter((one) => !existsSync(path.join(ROOT, one)))).toEqual([])
    expect(existsSync(path.join(ROOT, 'packages/gateway/bin/tollgate.cjs'))).toBe(true)
  })

  it('has the ports, the health check and the data directory of the program', () => {
    const variables = instructions('ENV').flatMap((env) => env.split(/\s+/))
    const { server, admin, dir } = configured(variables)
    expect(instructions('EXPOSE')).toEqual([`${server.port} ${admin.port}`])
    expect(instructions('VOLUME')).toEqual([dir])
    expect([server.host, admin.host]).toEqual(['0.0.0.0', '127.0.0.1'])
    expect(DOCKERFILE).toContain(`http://127.0.0.1:${server.port}/health/ready`)
    expect(instructions('USER')).toEqual(['node'])
  })
})

describe('compose', () => {
  it('names variables and ports of the program, and keeps the admin API on this machine', () => {
    const written = compose('services', 'tollgate', 'environment')
    const variables = Object.entries(isRecord(written) ? written : {}).map(
      ([name, value]) => `${name}=${String(value)}`,
    )
    const { server, admin } = configured(variables)
    expect(admin.token?.missing).toBe(false)
    expect(compose('services', 'tollgate', 'ports')).toEqual([
      `127.0.0.1:${server.port}:${server.port}`,
      `127.0.0.1:${admin.port}:${admin.port}`,
    ])
  })

  it('waits longer than the program takes to end, and mounts a configuration that loads', () => {
    const configPath = path.join(DEPLOY, 'compose/config/tollgate.yaml')
    const { config } = loadConfig({ env: {}, cwd: '/nonexistent', configPath })
    const graceMs = parseDurationMs(config.server.shutdown_grace)
    const waits = String(compose('services', 'tollgate', 'stop_grace_period'))
    expect(parseDurationMs(waits)).toBeGreaterThan(graceMs)
    expect(compose('services', 'tollgate', 'build')).toEqual({
      context: '../..',
      dockerfile: 'deploy/docker/Dockerfile',
    })
  })
})

describe('the unit', () => {
  it('names variables of the program, and its own state directory', () => {
    const { dir } = configured(settings('Environment'))
    expect([dir]).toEqual(settings('StateDirectory').map((name) => `/var/lib/${name}`))
  })

  it('waits longer than the program takes to end, and does not fight a wrong configuration', () => {
    const { server } = configured([])
    const [waits = ''] = settings('TimeoutStopSec')
    expect(parseDurationMs(waits)).toBeGreaterThan(parseDurationMs(server.shutdown_grace))
    expect(settings('RestartPreventExitStatus')).toEqual(['2'])
  })
})
