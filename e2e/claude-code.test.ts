import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { UsageRecordView } from '../packages/gateway/src/control-plane/admin-api.ts'
import { type Finished, runProcess } from './harness/child.ts'
import { closeAll } from './harness/cleanup.ts'
import { ROOT, tempFolder } from './harness/folders.ts'
import { type Gateway, startGateway, tollgate, writeConfig } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

const PLATFORM = `${process.platform}-${process.arch}`
const CLAUDE = path.join(
  ROOT,
  'e2e/node_modules/@anthropic-ai',
  `claude-code-${PLATFORM}`,
  process.platform === 'win32' ? 'claude.exe' : 'claude',
)
const installed = existsSync(CLAUDE)
if (!installed) console.log(`skipped: Claude Code is not installed for ${PLATFORM}`)

const MODEL = 'claude-sonnet-4-5'
const SECRET_WORD = 'marmalade'

afterAll(closeAll)

describe.skipIf(!installed)('Claude Code against the sandbox', () => {
  let gateway: Gateway
  let sandbox: SandboxProcess
  let work = ''
  let env: Record<string, string> = {}

  beforeAll(async () => {
    sandbox = await startSandboxProcess()
    gateway = await startGateway({ config: configFor(sandbox) })
    work = tempFolder()
    writeFileSync(path.join(work, 'note.txt'), `The secret word is ${SECRET_WORD}.\n`)
    env = {
      HOME: tempFolder(),
      ANTHROPIC_MODEL: MODEL,
      ANTHROPIC_SMALL_FAST_MODEL: MODEL,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      DISABLE_ERROR_REPORTING: '1',
      DISABLE_TELEMETRY: '1',
    }
  })
  beforeEach(() => sandbox.forget())

  /** The sandbox calls the tool that stands in the prompt, then answers. */
  function words(): readonly string[] {
    const step = `[[tool:Read ${JSON.stringify({ file_path: path.join(work, 'note.txt') })}]]`
    return ['-p', `${step} Read the note.`, '--output-format', 'json', '--allowedTools', 'Read']
  }

  /** One turn with one tool call: asked, run, sent back, answered. The number of its records. */
  async function checkTurn(done: Finished, records: readonly UsageRecordView[]): Promise<number> {
    expect({ code: done.code, err: done.code === 0 ? '' : done.err }).toEqual({ code: 0, err: '' })
    const result: { session_id: string; usage: Record<string, number> } = JSON.parse(done.out)
    expect(result).toMatchObject({ is_error: false, num_turns: 2, subtype: 'success' })
    const asked = (await sandbox.requests()).filter(({ url }) => url.startsWith('/v1/messages?'))
    expect(asked.filter(({ body }) => body.includes(SECRET_WORD))).toHaveLength(1)
    expect(asked.every(({ headers }) => headers['x-api-key'] === undefined)).toBe(true)
    const mine = records.filter(({ session_id }) => session_id === result.session_id)
    for (const record of mine) {
      expect(record).toMatchObject({ stream: true, complete: true, estimated: false, model: MODEL })
      expect(record.user_agent).toMatch(/^claude-cli\//)
    }
    const total = (kind: 'input' | 'output'): number =>
      mine.reduce((sum, { usage }) => sum + (usage[kind] ?? 0), 0)
    expect([total('input'), total('output')]).toEqual([
      result.usage['input_tokens'],
      result.usage['output_tokens'],
    ])
    const bill = await sandbox.bill()
    expect(bill.totals.outputTokens).toBe(total('output'))
    return mine.length
  }

  it('does a turn with a tool, by its two variables', async () => {
    const { key } = await gateway.admin.createKey()
    const variables = { ANTHROPIC_BASE_URL: gateway.proxyUrl, ANTHROPIC_API_KEY: key }
    const done = await runProcess(CLAUDE, words(), { cwd: work, env: { ...env, ...variables } })
    expect(await checkTurn(done, await gateway.admin.records())).toBe(2)
  })

  it('does it through `tollgate run`, with a key of its own that is gone afterwards', async () => {
    const done = await tollgate(['run', '--', CLAUDE, ...words()], { folder: gateway.folder, env })
    expect(await checkTurn(done, await gateway.admin.records())).toBe(2)
    expect(done.err).toMatch(/tollgate: 2 requests, [\d,]+ input and \d+ output tokens/)
    const { items } = await gateway.admin.get<{ items: { name: string; state: string }[] }>('/keys')
    expect(items.filter(({ name }) => name === 'run-claude')).toMatchObject([{ state: 'revoked' }])
  })

  it('and through `tollgate run` without a server', async () => {
    const folder = tempFolder()
    writeConfig(folder, configFor(sandbox))
    const done = await tollgate(['run', '--', CLAUDE, ...words()], { folder, env })
    const { out } = await tollgate(['ledger', 'list', '--json'], { folder })
    const { items }: { items: UsageRecordView[] } = JSON.parse(out)
    expect(await checkTurn(done, items)).toBe(2)
  })

  it('says what is wrong when a budget is spent', async () => {
    const limit = { id: 'cc', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 100 }
    const { key } = await gateway.admin.createKey({ policy: { limits: [limit] } })
    const variables = { ANTHROPIC_BASE_URL: gateway.proxyUrl, ANTHROPIC_API_KEY: key }
    const done = await runProcess(CLAUDE, words(), { cwd: work, env: { ...env, ...variables } })
    expect(done.code).not.toBe(0)
    expect(done.out).toContain('The limit \\"cc\\" (100 tokens in all, per key)')
    expect((await sandbox.bill()).items).toEqual([])
  })
})

function configFor(sandbox: SandboxProcess): object {
  return {
    log: { level: 'warn' },
    providers: { local: sandbox.provider },
    models: { [MODEL]: { targets: [{ provider: 'local' }] } },
  }
}
