import * as z from 'zod'
import type { LedgerVerification } from './admin-api.ts'
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
