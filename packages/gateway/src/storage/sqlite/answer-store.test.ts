import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { answerStoreContract } from '../../testing/answer-store-contract.ts'
import { openSqliteStore } from './open-sqlite-store.ts'

answerStoreContract({
  name: 'sqlite',
  async fresh() {
    const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-answers-'))
    const { store } = await openSqliteStore({ path: path.join(folder, 'tollgate.db') })
    return {
      store: store.answers,
      another: store.answers,
      expire: null,
      async close() {
        await store.close()
        rmSync(folder, { recursive: true })
      },
    }
  },
})

describe('sqlite answers', () => {
  it('are there after a restart, in a file that only its owner can read', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-answers-'))
    const file = path.join(folder, 'tollgate.db')
    const call = { id: 'a', fingerprint: 'f', owner: 'o' }
    const answer = {
      status: 201,
      headers: ['content-type', 'text/plain'],
      body: Buffer.from('kept'),
      origin: {
        requestId: 'req_1',
        requestedModel: null,
        model: null,
        servedModel: null,
        provider: null,
        target: null,
        stream: true,
      },
    }
    const first = await openSqliteStore({ path: file })
    await first.store.answers.keep(call, answer, { ttlMs: 60_000, maxBytes: 1e6, maxEntries: 10 })
    await first.store.close()
    const second = await openSqliteStore({ path: file })
    expect(await second.store.answers.claim(call)).toEqual({ kind: 'kept', answer })
    await second.store.close()
    expect(statSync(file).mode & 0o777).toBe(0o600)
    rmSync(folder, { recursive: true })
  })
})
