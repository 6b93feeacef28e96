import { jsonRoute, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { routeSimulationBody, routeSimulationSchema } from './simulation-schemas.ts'
import { simulateRouting } from './simulate-routing.ts'

export const ROUTING_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'POST',
    path: '/routing/simulate',
    summary: 'Where a request would go, and why; nothing is sent',
    query: NO_QUERY,
    body: routeSimulationBody,
    answer: routeSimulationSchema,
    handle: ({ control, body }) => simulateRouting(control, body),
  }),
]
