import type { CounterView } from '../contracts/limit.ts'
import type { LimitChange, LimitView } from './admin-api.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import {
  limitChangeSchema,
  limitExplanationSchema,
  limitSchema,
  pageOfSchema,
} from './answer-schemas.ts'
import type { Control } from './control.ts'
import { explainLimits } from './explain-limits.ts'
import { grantLimit, resetLimit } from './limit-changes.ts'
import { pageOf, sortedBy } from './list-page.ts'
import { grantLimitBody, limitExplainQuery, limitQuery, resetLimitBody } from './request-schemas.ts'
import { timeText } from './written-times.ts'

export const LIMIT_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/limits',
    summary: 'Counters of limits that have something on them',
    query: limitQuery,
    body: NO_BODY,
    answer: pageOfSchema(limitSchema),
    async handle({ control, query }) {
      const found = (await control.gate.list()).filter(
        (counter) =>
          (query.id === undefined || counter.id === query.id) &&
          (query.scope === undefined || counter.scope === query.scope) &&
          (query.value === undefined || counter.value === query.value),
      )
      const page = pageOf(sortedBy(found, orderOf), orderOf, query)
      return { ...page, items: page.items.map(limitView) }
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/keys/{id}/limits',
    summary: 'Which limits a request of the key would meet, and whether it would pass',
    query: limitExplainQuery,
    body: NO_BODY,
    answer: limitExplanationSchema,
    handle: ({ control, param, query }) => explainLimits(control, param('id'), query),
  }),
  jsonRoute({
    method: 'POST',
    path: '/limits/{id}/reset',
    summary: 'Set what a limit has counted to zero',
    query: NO_QUERY,
    body: resetLimitBody,
    answer: limitChangeSchema,
    async handle({ control, param, body }) {
      const changed = await resetLimit(control, param('id'), body)
      return await changeView(control, param('id'), { changed, value: body.value ?? null })
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/limits/{id}/grant',
    summary: 'Add an allowance to the current window',
    query: NO_QUERY,
    body: grantLimitBody,
    answer: limitChangeSchema,
    async handle({ control, param, body }) {
      const changed = await grantLimit(control, param('id'), body)
      return await changeView(control, param('id'), { changed, value: body.value })
    },
  }),
]

const NANO_PER_USD = 1e9

function limitView(counter: CounterView): LimitView {
  const scale = counter.unit === 'usd' ? NANO_PER_USD : 1
  return {
    id: counter.id,
    scope: counter.scope,
    value: counter.value,
    unit: counter.unit,
    used: counter.used / scale,
    reserved: counter.reserved / scale,
    amount: counter.amount / scale,
    resets_at: timeText(counter.resetsAtMs),
  }
}

/** The counters of the limit as they stand after the change. */
async function changeView(
  control: Control,
  id: string,
  change: { readonly changed: number; readonly value: string | null },
): Promise<LimitChange> {
  const { changed, value } = change
  const items = (await control.gate.list())
    .filter((counter) => counter.id === id && (value === null || counter.value === value))
    .map(limitView)
  return { id, changed, items }
}

/** Line breaks stand in none of the three. */
function orderOf({ id, scope, value }: CounterView): string {
  return `${id}\n${scope}\n${value}`
}
