import { parentPort } from 'node:worker_threads'
import type { TokenizerId } from '../contracts/tokenizer.ts'
import { boundTokens } from './bound-tokens.ts'
import { type CountText, loadVocabulary } from './vocabulary.ts'
import { type CountJob, type CountResult, isCountJob } from './worker-messages.ts'

/** Longest time that one request may keep the others waiting. Milliseconds. */
const JOB_BUDGET_MS = 500

const vocabularies = new Map<TokenizerId, Promise<CountText>>()

function vocabularyOf(tokenizer: TokenizerId): Promise<CountText> {
  const known = vocabularies.get(tokenizer)
  if (known !== undefined) return known
  const loading = loadVocabulary(tokenizer)
  vocabularies.set(tokenizer, loading)
  return loading
}

async function countJob(job: CountJob): Promise<CountResult> {
  const countText = await vocabularyOf(job.tokenizer)
  const deadlineMs = performance.now() + JOB_BUDGET_MS
  return { id: job.id, counts: job.texts.map((text) => countSafely(countText, text, deadlineMs)) }
}

/** No text of a client may take the worker down. */
function countSafely(countText: CountText, text: string, deadlineMs: number): number {
  try {
    return countText(text, deadlineMs)
  } catch {
    return boundTokens([text])
  }
}

/** A vocabulary that cannot be loaded is thrown: it ends the worker, and the main thread falls back to the bound. */
async function answer(job: CountJob): Promise<void> {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(await countJob(job))
}

parentPort?.on('message', (message: unknown) => {
  if (isCountJob(message)) void answer(message)
})
