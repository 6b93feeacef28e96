import { existsSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runProcess } from '../harness/child.ts'
import { closeAll } from '../harness/cleanup.ts'
import { ROOT, tempFolder } from '../harness/folders.ts'
import { checkSession, OFFLINE, tenTurnTask } from './agent-session.ts'
import { ROUTES } from './routes.ts'
import { startWorld, type World } from './stage.ts'

const PLATFORM = `${process.platform}-${process.arch}`
const CLAUDE = path.join(
  ROOT,
  'e2e/node_modules/@anthropic-ai',
  `claude-code-${PLATFORM}`,
  process.platform === 'win32' ? 'claude.exe' : 'claude',
)
const installed = existsSync(CLAUDE)
if (!installed) console.log(`skipped: Claude Code is not installed for ${PLATFORM}`)

/** The sandbox thinks before each of its steps. */
const MODEL = 'claude-sonnet-4-5+reasoning-8'

afterAll(closeAll)

describe.skipIf(!installed)('Claude Code against the sandbox', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  beforeEach(() => world.sandbox.forget())

  it.each(ROUTES)('ten turns over $name', async (route) => {
    const task = tenTurnTask((file) => ({ tool: 'Read', input: { file_path: file } }))
    const { key } = world.place(route)
    const words = ['-p', task.prompt, '--output-format', 'json', '--allowedTools', 'Read']
    const done = await runProcess(CLAUDE, words, {
      cwd: task.folder,
      env: {
        ...OFFLINE,
        HOME: tempFolder(),
        ANTHROPIC_BASE_URL: world.gateway.proxyUrl,
        ANTHROPIC_API_KEY: key,
        ANTHROPIC_MODEL: MODEL,
        ANTHROPIC_SMALL_FAST_MODEL: MODEL,
        MAX_THINKING_TOKENS: '2048',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        DISABLE_AUTOUPDATER: '1',
        DISABLE_ERROR_REPORTING: '1',
        DISABLE_TELEMETRY: '1',
      },
    })
    expect({ code: done.code, err: done.code === 0 ? '' : done.err }).toEqual({ code: 0, err: '' })
    const result: Result = JSON.parse(done.out)
    expect(result).toMatchObject({
      is_error: false,
      subtype: 'success',
      num_turns: task.words.length + 1,
    })
    expect(result.result).toMatch(/\.$/)
    await checkSession(world, {
      task,
      route,
      told: { input: result.usage.input_tokens, output: result.usage.output_tokens },
    })
  })
})

type Result = {
  readonly result: string
  readonly usage: { readonly input_tokens: number; readonly output_tokens: number }
}
