import type { BillLine } from '../../packages/gateway/src/providers/sandbox/bill.ts'
import { type Gateway, startGateway } from '../harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox.ts'
import type { Client, Place } from './client.ts'
import { providerOf, type Route, ROUTES } from './routes.ts'
import { Log } from './watched-fetch.ts'

/** Where one cell runs. */
export type Stage = {
  readonly client: Client
  readonly route: Route
  /** The route's own key: every model goes to the route's provider. */
  readonly place: Place
  /** A key for which nobody serves unknown models. */
  readonly strayPlace: Place
  /** A key whose limit of requests is used up. */
  readonly spentPlace: () => Promise<Place>
  /** Keys that begin on each of the other routes, and then come to this one. */
  readonly arrivals: () => Promise<readonly Arrival[]>
  readonly log: Log
  /** The body of the latest request at the provider. */
  readonly upstreamBody: () => Promise<unknown>
  readonly billLine: () => Promise<BillLine>
}

type Arrival = { readonly place: Place; readonly arrive: () => Promise<void> }

/** One gateway and one sandbox, with a key for each route. */
export type World = {
  readonly gateway: Gateway
  readonly sandbox: SandboxProcess
  readonly place: (route: Route) => Place
  readonly stage: (client: Client, route: Route) => Stage
}

const HOUR = { unit: 'requests', algorithm: 'fixed', window: '1h' }

export async function startWorld(): Promise<World> {
  const sandbox = await startSandboxProcess()
  const providers = Object.fromEntries(
    ROUTES.map((route) => [route.name, providerOf(route, sandbox)]),
  )
  const gateway = await startGateway({ config: { log: { level: 'warn' }, providers } })
  const { admin, proxyUrl: url } = gateway
  const keyFor = async (policy: Readonly<Record<string, unknown>>): Promise<Place> => ({
    url,
    key: (await admin.createKey({ policy })).key,
  })
  const places = new Map<Route, Place>()
  const placeOf = (route: Route): Place => {
    const place = places.get(route)
    if (place === undefined) throw new Error(route.name)
    return place
  }
  for (const route of ROUTES) places.set(route, await keyFor({ default_provider: route.name }))
  const strayPlace = await keyFor({})
  return {
    gateway,
    sandbox,
    place: placeOf,
    stage(client, route) {
      const log = new Log()
      const latest = async (): Promise<string> => (await log.exchanges()).at(-1)?.requestId ?? ''
      return {
        client,
        route,
        place: placeOf(route),
        strayPlace,
        log,
        async spentPlace() {
          const limits = [{ id: 'spent', scope: 'key', amount: 1, ...HOUR }]
          const spent = await keyFor({ default_provider: route.name, limits })
          await client.open(spent, { ...PLAIN, model: 'words-3' }).say(HELLO)
          return spent
        },
        arrivals: () =>
          Promise.all(
            ROUTES.filter((other) => other !== route).map(async (other) => {
              const policy = { default_provider: other.name }
              const { id, key } = await admin.createKey({ policy })
              const moved = { policy: { default_provider: route.name } }
              return {
                place: { url, key },
                arrive: async () => void (await admin.send('PATCH', `/keys/${id}`, moved)),
              }
            }),
          ),
        async upstreamBody() {
          const id = await latest()
          const requests = await sandbox.requests()
          const found = requests.findLast(({ headers }) => headers['x-request-id'] === id)
          if (found === undefined) throw new Error(`no request ${id} at the provider`)
          return JSON.parse(found.body) as unknown
        },
        async billLine() {
          const id = await latest()
          const { items } = await sandbox.bill()
          const line = items.findLast(({ gatewayRequestId }) => gatewayRequestId === id)
          if (line === undefined) throw new Error(`no line of ${id} on the bill`)
          return line
        },
      }
    },
  }
}

const HELLO = { from: 'user', text: 'hello', pngBase64: null } as const
const PLAIN = {
  stream: false,
  system: null,
  tools: [],
  forced: null,
  schema: null,
  stop: null,
  think: false,
} as const
