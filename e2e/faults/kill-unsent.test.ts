import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { hasRedis, startRedis } from '../../packages/gateway/src/testing/redis-process.ts'
import { askOf, call } from '../harness/call.ts'
import { closeAll, onClose } from '../harness/cleanup.ts'
import { startDeafHost } from '../harness/deaf-host.ts'
import { tempFolder } from '../harness/folders.ts'
import { startGateway } from '../harness/gateway.ts'
import { nothingOpen } from '../harness/nothing-open.ts'
import { startSandboxProcess } from '../harness/sandbox.ts'
import { waitFor } from '../harness/wait-for.ts'
import { childrenOf } from '../harness/workers.ts'

const EACH = 3

afterAll(closeAll)

describe('kill -9 while some calls are with a provider and others have no connection yet', () => {
  it.for([
    { what: 'a gateway', workers: 0, shared: false, isWorker: false },
    { what: 'a gateway, limits in Redis', workers: 0, shared: true, isWorker: false },
    { what: 'a gateway with workers', workers: 2, shared: false, isWorker: false },
    { what: 'its workers', workers: 2, shared: false, isWorker: true },
    { what: 'its workers, limits in Redis', workers: 2, shared: true, isWorker: true },
  ])('$what: only what was sent is charged', async ({ workers, shared, isWorker }, { skip }) => {
    skip(shared && !hasRedis(), 'there is no redis-server')
    const redis = shared ? await startRedis() : null
    if (redis !== null) onClose(() => redis.stop())
    const [sandbox, deaf] = [await startSandboxProcess(), await startDeafHost()]
    const folder = tempFolder()
    const limit = { scope: 'global', algorithm: 'lifetime' }
    const gateway = await startGateway({
      folder,
      config: {
        ...(workers === 0 ? {} : { server: { workers } }),
        log: { level: 'warn' },
        ...(redis === null ? {} : { limits: { backend: redis.url } }),
        providers: {
          local: sandbox.provider,
          deaf: { ...sandbox.provider, base_url: deaf.url, timeouts: { connect: '1m' } },
        },
        models: {
          slow: { targets: [{ provider: 'local', model: 'words-400+delay-50' }] },
          stuck: { targets: [{ provider: 'deaf', model: 'words-400' }] },
        },
        policy: {
          limits: [
            { ...limit, id: 'calls', unit: 'requests', amount: 1000 },
            { ...limit, id: 'out', unit: 'output_tokens', amount: 1e6 },
          ],
        },
      },
    })
    const { key } = await gateway.admin.createKey()
    const agent = new Agent({ keepAlive: true })
    const asked = ['slow', 'stuck'].flatMap((model) =>
      Array.from({ length: EACH }, () => {
        const { path, body } = askOf({ model, stream: true, maxTokens: 500 })
        return call(`${gateway.proxyUrl}${path}`, { key, body, agent })
      }),
    )
    await waitFor('calls under way', async () => {
      const { items } = await sandbox.billNow()
      if (items.length < EACH) return false
      const { used, reserved } = await gateway.admin.limit('calls')
      return used + reserved === 2 * EACH
    })
    // Who waits is marked after 50 ms.
    await sleep(300)
    if (isWorker) for (const pid of childrenOf(gateway.child.pid)) process.kill(pid, 'SIGKILL')
    else gateway.child.kill('SIGKILL')
    await Promise.all([...(isWorker ? [] : [gateway.child.exited]), ...asked])
    agent.destroy()

    const after = isWorker ? gateway : await startGateway({ folder })
    await waitFor('records', async () => (await after.admin.records()).length === 2 * EACH)
    await nothingOpen(after.admin)
    expect(await after.admin.limit('calls')).toMatchObject({ used: EACH, reserved: 0 })
    expect(await after.admin.limit('out')).toMatchObject({ used: EACH * 500, reserved: 0 })
    const records = await after.admin.records()
    expect(records).toHaveLength(2 * EACH)
    for (const { requested_model, error_class, estimated, usage } of records) {
      const sent = requested_model === 'slow'
      const told = { error_class, estimated, output: usage.output }
      expect(told).toEqual({
        error_class: isWorker ? 'worker_lost' : 'gateway_restarted',
        estimated: sent,
        output: sent ? 500 : null,
      })
    }
    expect((await after.cli('ledger', 'verify')).out).toContain(': 0 differences')
  })
})
