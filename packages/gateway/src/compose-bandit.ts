import type { NoteStore, Store } from './contracts/store.ts'
import {
  type ArmState,
  type ForgettingPlan,
  ThompsonBandit,
} from './data-plane/routing/thompson-bandit.ts'
import { isRecord } from './lib/is-record.ts'

const KIND = 'arm'
/** The only gateway of a store that no other may open. */
const ALONE = 'local'
const SAVE_EVERY_MS = 5000
/** How late a gateway learns what others have. */
const FOLLOW_EVERY_MS = 30_000
/** An arm that nobody drew for so long is gone; its weight was nothing long before. */
const KEPT_MS = 90 * 86_400_000

export type ComposedBandit = {
  readonly bandit: ThompsonBandit
  /** Saves what changed since, and learns what others know. */
  readonly sync: () => Promise<void>
  /** `onError`: once per failed synchronisation; what could not be saved is tried again. */
  readonly start: (onError: (error: unknown) => void) => () => void
}

/** The bandit, with what it had learned before, and what gateways that share the store have. */
export async function composeBandit(
  store: Pick<Store, 'instance'> & { readonly notes: Pick<NoteStore, 'list' | 'put' | 'prune'> },
  forgetting: () => ForgettingPlan,
): Promise<ComposedBandit> {
  const own = `${store.instance ?? ALONE} `
  const bandit = new ThompsonBandit(forgetting)
  const unsaved = new Map<string, ArmState>()
  const read = async (): Promise<readonly SavedArm[]> =>
    (await store.notes.list(KIND)).flatMap(({ name, body }) => parseArm(name, body))
  const saved = await read()
  bandit.restore(saved.filter(({ owner }) => owner === own).map(({ arm }) => arm))
  const useOthers = (arms: readonly SavedArm[]): void =>
    bandit.useOthers(arms.filter(({ owner }) => owner !== own).map(({ arm }) => arm))
  useOthers(saved)
  const save = async (): Promise<void> => {
    for (const arm of bandit.takeChanged()) unsaved.set(arm.name, arm)
    if (unsaved.size === 0) return
    const now = Date.now()
    const arms = [...unsaved.values()]
    await store.notes.put(
      KIND,
      arms.map((arm) => ({ name: own + arm.name, body: bodyOf(arm), updatedAtMs: now })),
    )
    for (const arm of arms) if (unsaved.get(arm.name) === arm) unsaved.delete(arm.name)
  }
  const sync = async (): Promise<void> => {
    await save()
    if (store.instance !== undefined) useOthers(await read())
  }
  return {
    bandit,
    sync,
    start(onError) {
      const saving = setInterval(() => void save().catch(onError), SAVE_EVERY_MS)
      const following = setInterval(() => void sync().catch(onError), FOLLOW_EVERY_MS)
      store.notes.prune(KIND, Date.now() - KEPT_MS).catch(onError)
      return () => {
        clearInterval(saving)
        clearInterval(following)
      }
    },
  }
}

type SavedArm = { readonly owner: string; readonly arm: ArmState }

function bodyOf({ rewards, count, recent, variance, seen, atMs }: ArmState): string {
  return JSON.stringify({ rewards, count, recent, variance, seen, atMs })
}

/** Empty for what this program did not write. */
function parseArm(name: string, body: string): readonly SavedArm[] {
  const end = name.indexOf(' ') + 1
  const value = parsed(body)
  if (end === 0 || !isRecord(value)) return []
  const numbers = FIELDS.map((field) => value[field])
  if (!numbers.every(isCount)) return []
  const [rewards = 0, count = 0, recent = 0, variance = 0, seen = 0, atMs = 0] = numbers
  const arm = { name: name.slice(end), rewards, count, recent, variance, seen, atMs }
  return [{ owner: name.slice(0, end), arm }]
}

const FIELDS = ['rewards', 'count', 'recent', 'variance', 'seen', 'atMs'] as const

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}
