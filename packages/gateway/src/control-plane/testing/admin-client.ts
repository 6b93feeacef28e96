import { expect } from 'vitest'
import { isRecord } from '../../lib/is-record.ts'
import { ADMIN_PREFIX, adminRoutes, createAdminApp, type AdminAppOptions } from '../admin-app.ts'
import { errorSchema } from '../answer-schemas.ts'
import type { Control } from '../control.ts'
import { TOKEN } from './test-control.ts'

export type Answer = {
  readonly status: number
  readonly text: string
  /** The JSON object answered; `{}` when it is none. */
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Headers
}

export type Call = (method: string, path: string, body?: unknown) => Promise<Answer>

/** Calls the app in-process with the token. Every answer is held against the schema that its route declares. */
export function adminClient(control: Control, options: AdminAppOptions = {}): Call {
  const app = createAdminApp(control, options)
  return async (method, path, body) => {
    const response = await app.request(ADMIN_PREFIX + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}` },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const answer = await readAnswer(response)
    checkAnswer(method, path, answer)
    return answer
  }
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  const json = response.headers.get('content-type')?.startsWith('application/json') ?? false
  const body: unknown = json && text !== '' ? JSON.parse(text) : {}
  return {
    status: response.status,
    text,
    body: isRecord(body) ? body : {},
    headers: response.headers,
  }
}

function checkAnswer(method: string, path: string, answer: Answer): void {
  if (method === 'HEAD') return
  if (answer.status >= 400) {
    expect(errorSchema.safeParse(answer.body).error).toBeUndefined()
    return
  }
  const parts = (path.split('?')[0] ?? '').split('/')
  const route = adminRoutes().find((one) => {
    const declared = one.path.split('/')
    return (
      one.method === method &&
      declared.length === parts.length &&
      declared.every((part, i) => part.startsWith('{') || part === parts[i])
    )
  })
  expect(route).toBeDefined()
  expect(route?.answer?.safeParse(answer.body).error).toBeUndefined()
}

/** `error.code` of a refusal. */
export function codeOf({ body }: Answer): unknown {
  return errorOf(body)['code']
}

/** `error.path` of a refusal. */
export function pathOf({ body }: Answer): unknown {
  return errorOf(body)['path']
}

function errorOf(body: Answer['body']): Readonly<Record<string, unknown>> {
  const { error } = body
  return isRecord(error) ? error : {}
}
