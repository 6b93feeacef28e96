import { jsonRoute, NO_BODY, type AdminRoute } from './admin-route.ts'
import { pageOfSchema } from './answer-schemas.ts'
import { DEFAULT_PAGE_ITEMS } from './list-page.ts'
import { usageFilter, usageQuery } from './request-schemas.ts'
import { usageRecordSchema, usageSummarySchema } from './usage-schemas.ts'
import { recordFilter, usageRecordView, usageSummaryView } from './usage-view.ts'

export const USAGE_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/usage',
    summary: 'Usage records, the newest first',
    query: usageQuery,
    body: NO_BODY,
    answer: pageOfSchema(usageRecordSchema),
    async handle({ control, query }) {
      const page = await control.store.records.list(recordFilter(query, control.clock.wallMs()), {
        limit: query.limit ?? DEFAULT_PAGE_ITEMS,
        cursor: query.cursor ?? null,
      })
      return { items: page.items.map(usageRecordView), total: page.total, next: page.next }
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/usage/summary',
    summary: 'Requests, tokens and cost, by model, key and provider',
    query: usageFilter,
    body: NO_BODY,
    answer: usageSummarySchema,
    async handle({ control, query }) {
      const filter = recordFilter(query, control.clock.wallMs())
      return usageSummaryView(await control.store.records.summary(filter))
    },
  }),
]
