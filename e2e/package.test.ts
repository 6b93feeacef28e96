import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isRecord } from '../packages/gateway/src/lib/is-record.ts'
import { chat, newWorkspace, serve, tollgate, tollgateJson, textOf } from './cli-harness.ts'

const ROOT = path.join(import.meta.dirname, '..')
const GATEWAY = path.join(ROOT, 'packages', 'gateway')
const workspace = newWorkspace()
const installed = path.join(workspace.dir, 'node_modules', 'tollgate')
const packaged = { ...workspace, main: path.join(installed, 'bin', 'tollgate.cjs') }

/** As after `npm install` of the tarball: what `files` names, and beside it what `dependencies` names. */
beforeAll(() => {
  const text = readFileSync(path.join(GATEWAY, 'package.json'), 'utf8')
  const manifest: unknown = JSON.parse(text)
  const wanted = isRecord(manifest) ? manifest['dependencies'] : {}
  const out = path.join(installed, 'dist')
  const built = spawnSync(process.execPath, [path.join(ROOT, 'scripts/build.mjs'), '--out', out])
  if (built.status !== 0) throw new Error(built.stdout.toString() + built.stderr.toString())
  for (const file of ['bin', 'package.json', 'README.md']) {
    cpSync(path.join(GATEWAY, file), path.join(installed, file), { recursive: true })
  }
  for (const name of Object.keys(isRecord(wanted) ? wanted : {})) {
    const link = path.join(workspace.dir, 'node_modules', name)
    mkdirSync(path.dirname(link), { recursive: true })
    symlinkSync(path.join(ROOT, 'node_modules', name), link)
  }
}, 120_000)

afterAll(() => {
  rmSync(path.join(workspace.dir, 'node_modules'), { recursive: true, force: true })
  workspace.remove()
})

it('the package runs without types and without a checkout', async () => {
  const version = await tollgate(packaged, ['version'])
  expect([version.code, version.out]).toEqual([
    0,
    expect.stringMatching(/^tollgate \d+\.\d+\.\d+ /),
  ])
})

it('the package serves, counts and keeps, with its worker threads', async () => {
  const limits = [
    { id: 'tokens', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 5000 },
  ]
  const gateway = await serve(packaged)
  const made = ['key', 'create', '--name', 'a', '--policy', JSON.stringify({ limits })]
  const key = textOf(await tollgateJson(packaged, made), 'key')
  expect(await chat(gateway.proxyUrl, key)).toBe(200)
  expect((await gateway.stop()).code).toBe(0)
  const summary = await tollgateJson(packaged, ['ledger', 'summary'])
  expect(summary).toMatchObject({ requests: 1, errors: 0 })
})
