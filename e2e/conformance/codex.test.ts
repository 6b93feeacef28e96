import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Finished, runProcess } from '../harness/child.ts'
import { closeAll, onClose } from '../harness/cleanup.ts'
import { ROOT, tempFolder } from '../harness/folders.ts'
import { checkSession, OFFLINE, tenTurnTask } from './agent-session.ts'
import { type Route, ROUTES } from './routes.ts'
import { startWorld, type World } from './stage.ts'

const PLATFORM = `${process.platform}-${process.arch}`
const TRIPLES: Readonly<Record<string, string>> = {
  'linux-x64': 'x86_64-unknown-linux-musl',
  'linux-arm64': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
  'win32-x64': 'x86_64-pc-windows-msvc',
}
const MODULES = path.join(ROOT, 'e2e', 'node_modules')
const CODEX = path.join(
  MODULES,
  '@openai',
  `codex-${PLATFORM}`,
  'vendor',
  TRIPLES[PLATFORM] ?? PLATFORM,
  'bin',
  process.platform === 'win32' ? 'codex.exe' : 'codex',
)
const installed = existsSync(CODEX)
if (!installed) console.log(`skipped: Codex is not installed for ${PLATFORM}`)

/** One that Codex knows, and so gives its tool of free text. */
const MODEL = 'gpt-5.5'
/** The sandbox thinks before each of its steps. */
const THINKING_MODEL = `${MODEL}+reasoning-8`

afterAll(closeAll)

describe.skipIf(!installed)('Codex against the sandbox', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  beforeEach(() => world.sandbox.forget())

  it.each(ROUTES)('ten turns over $name', async (route) => {
    const task = tenTurnTask((file) => ({ tool: 'exec_command', input: { cmd: `cat ${file}` } }))
    const done = await runCodex(world, route, { ...task, model: THINKING_MODEL })
    expect({ code: done.code, err: done.code === 0 ? '' : done.err }).toEqual({ code: 0, err: '' })
    const events = eventsOf(done)
    const commands = events.filter(
      ({ item, type }) => type === 'item.completed' && item?.type === 'command_execution',
    )
    expect(commands.map(({ item }) => item?.exit_code)).toEqual(task.words.map(() => 0))
    const texts = events.flatMap(({ item }) => (item?.type === 'agent_message' ? [item.text] : []))
    expect(texts).toEqual([expect.stringMatching(/\.$/)])
    const usage = events.find(({ type }) => type === 'turn.completed')?.usage
    await checkSession(world, {
      task,
      route,
      told: { input: usage?.input_tokens ?? 0, output: usage?.output_tokens ?? 0 },
    })
  })

  it.each(ROUTES)('a tool of free text over $name', async (route) => {
    const folder = tempFolder()
    const patch = '*** Begin Patch\n*** Add File: made.txt\n+made by a patch\n*** End Patch\n'
    const prompt = `[[tool:apply_patch ${JSON.stringify({ input: patch })}]] Make the file.`
    const done = await runCodex(world, route, { folder, prompt, model: MODEL })
    expect({ code: done.code, err: done.code === 0 ? '' : done.err }).toEqual({ code: 0, err: '' })
    expect(readFileSync(path.join(folder, 'made.txt'), 'utf8')).toBe('made by a patch\n')
    const { items } = await world.sandbox.bill()
    expect(items.map(({ protocol, status }) => [protocol, status])).toEqual([
      [route.protocol, 200],
      [route.protocol, 200],
    ])
  })
})

type Work = { readonly folder: string; readonly prompt: string; readonly model: string }

function runCodex(world: World, route: Route, { folder, model, prompt }: Work): Promise<Finished> {
  const home = homeFolder(world.gateway.proxyUrl)
  const { key } = world.place(route)
  const words = ['exec', '--json', '--skip-git-repo-check', '--model', model]
  return runProcess(CODEX, [...words, '--dangerously-bypass-approvals-and-sandbox', prompt], {
    cwd: folder,
    env: { ...OFFLINE, HOME: home, CODEX_HOME: home, TOLLGATE_KEY: key },
  })
}

type CodexEvent = {
  readonly type: string
  readonly item?: { readonly type: string; readonly text?: string; readonly exit_code?: number }
  readonly usage?: { readonly input_tokens: number; readonly output_tokens: number }
}

function eventsOf({ out }: Finished): readonly CodexEvent[] {
  return out.trim().split('\n').map(readEvent)
}

function readEvent(line: string): CodexEvent {
  const event: CodexEvent = JSON.parse(line)
  return event
}

/** Not in the folder for temporary files: there Codex does without a part of its tools. */
function homeFolder(proxyUrl: string): string {
  const cache = path.join(MODULES, '.cache')
  mkdirSync(cache, { recursive: true })
  const home = mkdtempSync(path.join(cache, 'codex-'))
  onClose(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }))
  const config = `
model_provider = "tollgate"
check_for_update_on_startup = false
[model_providers.tollgate]
name = "Tollgate"
base_url = "${proxyUrl}/v1"
env_key = "TOLLGATE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[analytics]
enabled = false
`
  writeFileSync(path.join(home, 'config.toml'), config)
  return home
}
