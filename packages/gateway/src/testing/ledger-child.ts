import { openSqliteStore } from '../storage/sqlite/open-sqlite-store.ts'
import { usageRecord } from './usage-record.ts'

/**
 * A process to be killed. Appends without end and prints the id of each record once its append has resolved.
 * Arguments: path of the database, prefix of the ids.
 */
const [path = '', prefix = ''] = process.argv.slice(2)
const { ledger } = await openSqliteStore({ path })
let count = 0
ledger.countersFrom(() => [{ counterKey: 'spent', state: String(count) }])

async function appendForever(): Promise<never> {
  for (;;) {
    const id = `rec_${prefix}_${String(count++).padStart(8, '0')}`
    try {
      await ledger.append(usageRecord({ id, costNanoUsd: 1 }))
      process.stdout.write(`ok ${id}\n`)
    } catch {
      process.stdout.write(`failed ${ledger.healthy() ? 'healthy' : 'unhealthy'}\n`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

await Promise.all(Array.from({ length: 20 }, appendForever))
