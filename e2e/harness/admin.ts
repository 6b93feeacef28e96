import type {
  CreateKeyBody,
  KeyWithSecret,
  LimitView,
  Page,
  UsageRecordView,
  UsageSummary,
} from '../../packages/gateway/src/control-plane/admin-api.ts'
import { waitFor } from './wait-for.ts'

type AdminAnswer = { readonly status: number; readonly body: unknown }

/** The admin API as an operator uses it. Methods throw unless the answer is a 2xx. */
export type Admin = {
  /** Any answer, whatever its status. `path` starts after `/admin/v1`. */
  readonly raw: (method: string, path: string, body?: unknown) => Promise<AdminAnswer>
  readonly get: <T>(path: string) => Promise<T>
  readonly send: <T>(method: string, path: string, body?: unknown) => Promise<T>
  readonly createKey: (body?: Partial<CreateKeyBody>) => Promise<KeyWithSecret>
  readonly limit: (id: string) => Promise<LimitView>
  readonly record: (requestId: string) => Promise<UsageRecordView>
  /** All of them, the oldest first. */
  readonly records: () => Promise<readonly UsageRecordView[]>
  readonly summary: () => Promise<UsageSummary>
  readonly metrics: () => Promise<Metrics>
}

const PAGE = 500

export function adminClient(adminUrl: string, token: string): Admin {
  const raw: Admin['raw'] = async (method, path, body) => {
    const response = await fetch(`${adminUrl}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const parsed: unknown = text === '' ? null : JSON.parse(text)
    return { status: response.status, body: parsed }
  }
  async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await raw(method, path, body)
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the shapes of admin-api.ts, held by its own tests
    return answer.body as T
  }
  const get = <T>(path: string): Promise<T> => send<T>('GET', path)
  return {
    raw,
    get,
    send,
    createKey: (body = {}) => send<KeyWithSecret>('POST', '/keys', { name: 'e2e', ...body }),
    async limit(id) {
      const { items } = await get<Page<LimitView>>(`/limits?id=${id}`)
      const [first] = items
      if (first === undefined) throw new Error(`no counter of the limit ${id}`)
      return first
    },
    record: (requestId) =>
      waitFor(`the record of ${requestId}`, async () => {
        const { items } = await get<Page<UsageRecordView>>(`/usage?request_id=${requestId}`)
        return items[0] ?? null
      }),
    async records() {
      const all: UsageRecordView[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const place: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
        const page: Page<UsageRecordView> = await get(`/usage?limit=${PAGE}${place}`)
        all.push(...page.items)
        cursor = page.next
      }
      return all.toReversed()
    },
    summary: () => get<UsageSummary>('/usage/summary'),
    metrics: async () => readMetrics(await (await fetch(`${adminUrl}/metrics`)).text()),
  }
}

export type Metrics = {
  /** Sum over all series of the name whose labels hold these. */
  readonly sum: (name: string, labels?: Readonly<Record<string, string>>) => number
}

type Sample = { readonly name: string; readonly labels: string; readonly value: number }

function readMetrics(text: string): Metrics {
  const samples: Sample[] = []
  for (const [, name = '', labels = '', value] of text.matchAll(
    /^([a-z_:0-9]+)(?:\{(.*)\})? (\S+)$/gim,
  )) {
    samples.push({ name, labels, value: Number(value) })
  }
  return {
    sum(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
      return samples
        .filter((one) => one.name === name && wanted.every((part) => one.labels.includes(part)))
        .reduce((total, { value }) => total + value, 0)
    },
  }
}
