import type { NoteStore, RecordStore } from './contracts/store.ts'
import type { UsageRecord } from './contracts/usage-record.ts'
import type { DataPlane } from './data-plane/pipeline/data-plane.ts'
import { FEEDBACK_KIND, parseFeedbackNote } from './data-plane/routing/feedback-notes.ts'
import { withQuality } from './data-plane/routing/reward.ts'
import type { ThompsonBandit } from './data-plane/routing/thompson-bandit.ts'

/**
 * Takes what a client says of an answer: keeps it, and corrects what the bandit learned from that answer. The latest word
 * counts.
 */
export function composeFeedback(
  store: {
    readonly records: Pick<RecordStore, 'list'>
    readonly notes: Pick<NoteStore, 'get' | 'put'>
  },
  bandit: ThompsonBandit,
): DataPlane['takeFeedback'] {
  return async (keyId, { requestId, score, comment }) => {
    const { items } = await store.records.list({ requestId }, { limit: 1, cursor: null })
    const [record] = items
    if (record === undefined || record.keyId !== keyId) return null
    const before = await store.notes.get(FEEDBACK_KIND, requestId)
    const formerScore = before === null ? null : (parseFeedbackNote(before.body)?.score ?? null)
    const body = JSON.stringify({ score, comment, keyId })
    await store.notes.put(FEEDBACK_KIND, [{ name: requestId, body, updatedAtMs: Date.now() }])
    return { target: record.target, reward: correct(bandit, record, { score, formerScore }) }
  }
}

/** The reward of the answer as it is now; null: no bandit chose its target. */
function correct(
  bandit: ThompsonBandit,
  { attempts, routing }: UsageRecord,
  { score, formerScore }: { readonly score: number; readonly formerScore: number | null },
): number | null {
  const last = attempts.at(-1)
  if (last?.reward === undefined || routing?.arm === undefined) return null
  const reward = withQuality(last.reward, score)
  const former = formerScore === null ? last.reward : withQuality(last.reward, formerScore)
  bandit.correct(last.target, routing.arm, reward - former, Date.now())
  return reward
}
