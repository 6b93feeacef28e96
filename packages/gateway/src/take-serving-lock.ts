import { setTimeout as sleep } from 'node:timers/promises'
import { readRuntimeFile } from './cli/runtime-file.ts'
import { StoreError } from './errors/store-error.ts'
import { lockForServing, type ServingLock } from './storage/sqlite/serving-lock.ts'

/** A command that works on the store without a server is done sooner. */
const WAIT_MS = 2000
const ASK_AGAIN_MS = 50

/** As `lockForServing`, but waits for a command that has the store for a moment. A server that has it is not waited for. */
export async function takeServingLock(dir: string): Promise<ServingLock> {
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    try {
      return await lockForServing(dir)
    } catch (thrown) {
      if (!(thrown instanceof StoreError) || thrown.reason !== 'served') throw thrown
      if (readRuntimeFile(dir) !== null || Date.now() > deadline) throw thrown
      await sleep(ASK_AGAIN_MS)
    }
  }
}
