import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { REASONING_STATES } from '../../packages/gateway/src/providers/sandbox/reasoning-state.ts'
import { tempFolder } from '../harness/folders.ts'
import type { Route } from './routes.ts'
import type { World } from './stage.ts'

/** Ten steps, four of them with two calls at once: fourteen files are read. */
const STEPS = 10
const PARALLEL_EVERY = 3

/** Each file holds a word that nothing else says. */
function wordOf(file: number): string {
  return `fact-${file}-is-${(file * 7919).toString(36)}`
}

export type AgentTask = {
  readonly folder: string
  readonly prompt: string
  /** What the provider must have been told in the end. */
  readonly words: readonly string[]
}

/** A folder with files, and a prompt by which the sandbox reads all of them. `call`: the tool and its input. */
export function tenTurnTask(
  call: (file: string) => { readonly tool: string; readonly input: object },
): AgentTask {
  const folder = tempFolder()
  const words: string[] = []
  const steps = Array.from({ length: STEPS }, (_, step) => {
    const calls = Array.from({ length: step % PARALLEL_EVERY === 0 ? 2 : 1 }, () => {
      words.push(wordOf(words.length + 1))
      const file = path.join(folder, `file-${words.length}.txt`)
      writeFileSync(file, `${words.at(-1)}\n`)
      const { input, tool } = call(file)
      return `[[tool:${tool} ${JSON.stringify(input)}]]`
    })
    return calls.join('+')
  })
  return { folder, words, prompt: `${steps.join(' ')} Read all the files.` }
}

export type AgentTotals = { readonly input: number; readonly output: number }

/**
 * The session as the provider and the ledger saw it: a request per step and one for the end, each recorded once, all
 * tool results told, the proof of each step's thinking given back, and the tokens of the client, the ledger and the bill the same.
 */
export async function checkSession(
  { gateway, sandbox }: World,
  {
    task,
    route,
    told,
  }: { readonly task: AgentTask; readonly route: Route; readonly told: AgentTotals },
): Promise<void> {
  const bill = await sandbox.bill()
  const ids = bill.items.map(({ gatewayRequestId }) => gatewayRequestId)
  expect(ids).toHaveLength(STEPS + 1)
  const all = await gateway.admin.records()
  const mine = all.filter(({ request_id: id }) => ids.includes(id))
  expect(mine).toHaveLength(STEPS + 1)
  for (const record of mine) {
    expect(record).toMatchObject({ status: 200, complete: true, estimated: false, stream: true })
    expect([record.provider, record.translation?.protocol ?? record.protocol]).toEqual([
      route.name,
      route.protocol,
    ])
  }
  const total = (kind: 'input' | 'output'): number =>
    mine.reduce((sum, { usage }) => sum + (usage[kind] ?? 0), 0)
  const owed = { input: bill.totals.inputTokens, output: bill.totals.outputTokens }
  expect({ input: total('input'), output: total('output') }).toEqual(owed)
  expect(told).toEqual(owed)
  const last = (await sandbox.requests()).at(-1)?.body ?? ''
  expect(task.words.filter((word) => !last.includes(word))).toEqual([])
  if (route.protocol === 'openai-chat') return
  expect(last.split(REASONING_STATES[route.protocol])).toHaveLength(STEPS + 1)
}

/** Nothing of theirs leaves the machine: whatever is not loopback goes to a port where nobody listens. */
export const OFFLINE: Readonly<Record<string, string>> = {
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
  NO_PROXY: '127.0.0.1,localhost',
}
