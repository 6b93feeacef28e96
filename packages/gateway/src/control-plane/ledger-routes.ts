import * as z from 'zod'
import { strict } from '../config/validate.ts'
import type { Recount } from '../data-plane/limits/recount.ts'
import type { LedgerVerification, RecountView } from './ledger-api.ts'
import { AdminError } from './admin-error.ts'
import { type AdminRoute, jsonRoute, NO_BODY, NO_QUERY } from './admin-route.ts'
import {
  ledgerReconciliationSchema,
  ledgerVerificationSchema,
  reconcileBody,
} from './ledger-schemas.ts'
import { reconcile } from './reconcile.ts'
import { type VerifiedLedger, verifyLedger } from './verify-ledger.ts'

const NANO_USD_PER_USD = 1_000_000_000

export const LEDGER_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/ledger/verify',
    summary: 'Counts every durable counter again from the records, and checks the chain over them',
    query: strict({ chain: z.optional(z.enum(['true', 'false'])) }),
    body: NO_BODY,
    answer: ledgerVerificationSchema,
    async handle({ control, query }) {
      const { proof } = control.store
      if (proof === undefined) {
        throw new AdminError('not_available', 'This store cannot prove its records.')
      }
      return verificationView(await verifyLedger(control, proof, { chain: query.chain === 'true' }))
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/ledger/reconcile',
    summary: "Compares the ledger with a provider's own numbers, by day and model",
    query: NO_QUERY,
    body: reconcileBody,
    answer: ledgerReconciliationSchema,
    handle: ({ control, body }) => reconcile(control, body),
  }),
]

function verificationView({ reading, recounts }: VerifiedLedger): LedgerVerification {
  const counters = recounts.map(recountView)
  const differences = counters.filter(({ difference }) => difference !== null && difference !== 0)
  const { chain } = reading
  return {
    ok: differences.length === 0 && (chain === null || chain.findingsTotal === 0),
    records: reading.records,
    counters: counters.length,
    not_recounted: counters.filter(({ recounted }) => recounted === null),
    differences,
    chain:
      chain === null
        ? null
        : {
            checked: chain.checked,
            unlinked: chain.unlinked,
            checkpoints: chain.checkpoints,
            last_checkpoint_at: chain.lastCheckpointAt,
            findings: chain.findings.map(({ position, recordId, problem }) => ({
              position,
              record_id: recordId,
              problem,
            })),
            findings_total: chain.findingsTotal,
          },
  }
}

/** Money in US dollars, as limits are listed. */
function recountView({ windowStartMs, counted, recounted, ...facts }: Recount): RecountView {
  const unit = facts.unit === 'usd' ? NANO_USD_PER_USD : 1
  return {
    ...facts,
    window_start: windowStartMs === null ? null : new Date(windowStartMs).toISOString(),
    counted: counted / unit,
    recounted: recounted === null ? null : recounted / unit,
    difference: recounted === null ? null : (counted - recounted) / unit,
  }
}
