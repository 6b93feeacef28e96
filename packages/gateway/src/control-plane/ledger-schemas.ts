import * as z from 'zod'
import { strict } from '../config/validate.ts'
import type { LedgerReconciliation, LedgerVerification, ReconcileBody } from './ledger-api.ts'
import { NAMED_SCHEMAS } from './answer-schemas.ts'

const text = z.string()
const maybeText = z.nullable(text)
const recounts = z.array(
  z.strictObject({
    id: text,
    scope: text,
    value: text,
    unit: text,
    algorithm: text,
    window_start: maybeText,
    counted: z.number(),
    recounted: z.nullable(z.number()),
    difference: z.nullable(z.number()),
    reason: maybeText,
  }),
)

export const ledgerVerificationSchema: z.ZodType<LedgerVerification> = z.strictObject({
  ok: z.boolean(),
  records: z.int(),
  counters: z.int(),
  not_recounted: recounts,
  differences: recounts,
  chain: z.nullable(
    z.strictObject({
      checked: z.int(),
      unlinked: z.int(),
      checkpoints: z.int(),
      last_checkpoint_at: maybeText,
      findings: z.array(z.strictObject({ position: z.int(), record_id: maybeText, problem: text })),
      findings_total: z.int(),
    }),
  ),
})
NAMED_SCHEMAS.add(ledgerVerificationSchema, { id: 'LedgerVerification' })

const MAX_GROUPS = 20_000
const tokens = z.int().min(0)
const day = z.iso.date().describe('UTC.')
const group = {
  day,
  model: text,
  project: maybeText,
  requests: z.nullable(tokens),
  input: tokens,
  cache_read: tokens,
  cache_write: tokens,
  output: tokens,
}

export const reconcileBody: z.ZodType<ReconcileBody> = strict({
  groups: z.array(strict(group)).min(1).max(MAX_GROUPS),
  provider: z.exactOptional(text),
  by_project: z.exactOptional(z.boolean()),
})
NAMED_SCHEMAS.add(reconcileBody, { id: 'ReconcileBody' })

const kinds = { input: z.int(), cache_read: z.int(), cache_write: z.int(), output: z.int() }
const told = z.strictObject({ requests: z.nullable(z.int()), ...kinds })

export const ledgerReconciliationSchema: z.ZodType<LedgerReconciliation> = z.strictObject({
  ok: z.boolean(),
  since: text,
  until: text,
  items: z.array(
    z.strictObject({
      day: text,
      model: text,
      project: maybeText,
      ledger: z.strictObject({ requests: z.int(), ...kinds }),
      provider: told,
      difference: told,
    }),
  ),
})
NAMED_SCHEMAS.add(ledgerReconciliationSchema, { id: 'LedgerReconciliation' })
