import type { KeyWithSecret } from '../control-plane/admin-api.ts'
import { type AdminClient, listAll, requestOne, requestThrough } from './admin-client.ts'
import { isKey, isKeyWithSecret, isModel } from './answers.ts'
import { banner } from './banner.ts'
import type { StartedServer } from './cli-deps.ts'
import { reachableUrl } from './runtime-file.ts'

const FIRST = 'first'
const TRY_IT = 'try-it'
const TRY_IT_EXPIRES = '24h'
const SANDBOX_MODEL = 'sandbox/sandbox-mini'

/** Makes a key that the printed lines work with, and the text that shows them. */
export async function firstRunBanner(server: StartedServer): Promise<string> {
  const client = inProcess(server)
  const { created, isFirst } = await freshKey(client)
  return banner({
    proxyUrl: reachableUrl(server.proxyUrl),
    adminUrl: reachableUrl(server.adminUrl),
    key: created.key,
    keyNote: isFirst
      ? 'shown only now; create more with `tollgate key create --name NAME`'
      : 'a fresh key for trying, valid for 24 hours; earlier ones are revoked',
    model: await someModel(client, server.sandbox),
    providers: server.providers,
  })
}

function inProcess(server: StartedServer): AdminClient {
  return {
    serving: true,
    proxyUrl: server.proxyUrl,
    adminUrl: server.adminUrl,
    request: requestThrough(server.request, 'http://127.0.0.1'),
    close: async () => {},
  }
}

/** The very first key stays; on later starts its secret is not known any more, so there is one that is good for a day. */
async function freshKey(
  client: AdminClient,
): Promise<{ readonly created: KeyWithSecret; readonly isFirst: boolean }> {
  const { items } = await listAll(client, { path: '/keys', item: isKey })
  const stored = items.filter(({ owner }) => owner === 'api')
  if (stored.length === 0) {
    return { created: await createKey(client, { name: FIRST }), isFirst: true }
  }
  const former = stored.filter(({ name, state }) => name === TRY_IT && state !== 'revoked')
  for (const { id } of former) await client.request('DELETE', `/keys/${id}`)
  const created = await createKey(client, { name: TRY_IT, expires: TRY_IT_EXPIRES })
  return { created, isFirst: false }
}

function createKey(client: AdminClient, body: object): Promise<KeyWithSecret> {
  return requestOne(client, { method: 'POST', path: '/keys', body, answer: isKeyWithSecret })
}

async function someModel(client: AdminClient, sandbox: boolean): Promise<string> {
  if (sandbox) return SANDBOX_MODEL
  const { items } = await listAll(client, { path: '/models', item: isModel })
  const chat = items.find(({ name }) => !/embed|whisper|tts|image|audio|moderation/i.test(name))
  return chat?.name ?? items[0]?.name ?? 'MODEL'
}
