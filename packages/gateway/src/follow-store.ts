import type { Core } from './compose-core.ts'
import { inOrder } from './control-plane/in-turn.ts'
import type { RootLogger } from './observe/log.ts'
import { configKeyRecords } from './plan/config-keys.ts'

/** Takes over what other gateways change in a store that they share. Returns the end of it. */
export function followStore(core: Core, log: RootLogger): () => void {
  const { changes } = core.store
  if (changes === undefined) return () => {}
  return changes.follow({
    keys(records, all) {
      const ofFile = configKeyRecords(core.loaded().config)
      if (all) core.keyRing.replaceAll([...records, ...ofFile])
      else for (const record of records) core.keyRing.put(record)
    },
    policies() {
      inOrder(core.store, core.recompile).catch((err: unknown) => {
        log.error({ err }, 'policies that were changed elsewhere cannot be used; the former stay')
      })
    },
    problem(problem) {
      if (problem === null)
        log.info({}, 'the database answers; changes by other gateways come again')
      else log.warn({ problem }, 'the database does not answer; keys and policies stay as they are')
    },
  })
}
