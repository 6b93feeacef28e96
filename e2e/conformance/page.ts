import { readFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from '../harness/folders.ts'
import type { Client } from './client.ts'
import { AGENTS, CLIENTS } from './clients.ts'
import { FEATURES } from './features.ts'
import { type Reason, reasonFor } from './reasons.ts'
import { type Route, ROUTES } from './routes.ts'

export const PAGE: string = path.join(ROOT, 'docs', 'conformance.md')

const PATHS: Readonly<Record<string, string>> = {
  'openai-chat': '`/v1/chat/completions`',
  'openai-responses': '`/v1/responses`',
  'anthropic-messages': '`/v1/messages`',
  gemini: '`/v1beta/models/…`',
}

const clients: readonly Client[] = Object.values(CLIENTS).flat()

/** The matrix as a page: what the tests of this folder hold the gateway to. */
export function conformancePage(): string {
  const notes = new Notes()
  const matrices = ROUTES.map((route) => matrix(route, notes))
  return [HEAD, clientTable(), ...matrices, agentTable(), notes.text(), TAIL].join('\n\n')
}

const HEAD = `# Conformance

Which official clients work with which providers. Written by \`e2e/conformance/write-page.ts\` from the tables that the tests in
\`e2e/conformance\` run: each \`ok\` is a test that passed. Every cell runs the published client against the gateway over the
[sandbox](guides/sandbox.md), offline.

In every cell, each answer and each event of a stream is checked against the types of the vendor's own package, and each
request must be one record in the ledger with the usage of the provider's bill.`

const TAIL = `## What a cell checks

| feature | what must hold |
| --- | --- |
| text, streamed text | the provider's words, in pieces when streamed, and the client's own word for the end |
| system prompt | it stands in the provider's own place for instructions |
| several turns | the provider is told all turns, in order |
| image | the bytes of a data URL reach the provider |
| tool call, parallel tools | names and arguments; the results reach the provider; different ids |
| forced tool | the named tool is called although the model would not |
| JSON schema | the answer is JSON of that schema |
| reasoning | the thinking is shown, and its proof goes back with the tool's result |
| another provider midway | the result goes to another provider than the call came from; no foreign proof is sent |
| stop sequence | the text ends before it |
| usage | the client's numbers are those of the bill |
| broken stream | a stream that the provider cuts, drops or breaks off with an error is an exception or a failed answer, not an end |
| errors | 401 of the gateway, 404 and 429 of both, as the client's typed error, streamed or not |`

function clientTable(): string {
  const rows = [
    ...clients.map(({ name, package: packageName, protocol }) => ({ name, packageName, protocol })),
    ...AGENTS.map(({ name, package: packageName, protocol }) => ({ name, packageName, protocol })),
  ]
  return table(
    ['client', 'package', 'endpoint'],
    rows.map(({ name, packageName, protocol }) => [
      name,
      `\`${packageName}\` ${versionOf(packageName)}`,
      PATHS[protocol] ?? protocol,
    ]),
  )
}

function matrix(route: Route, notes: Notes): string {
  const rows: string[][] = []
  for (const client of clients) {
    const row = [client.name + (client.protocol === route.protocol ? ' (native)' : '')]
    for (const { name } of FEATURES) row.push(cell(reasonFor(client, route, name), notes))
    rows.push(row)
  }
  const title = `## Providers that speak ${route.protocol} only`
  return `${title}\n\n${table(['client', ...FEATURES.map(({ label }) => label)], rows)}`
}

function cell(reason: Reason | null, notes: Notes): string {
  return reason === null ? 'ok' : `${reason.result} [${notes.number(reason)}]`
}

const AGENT_HEAD = `## Agents

Ten turns with thinking and tools, four of them with two calls at once: all results and the proof of each turn's thinking
reach the provider, each request is one record, and the tokens of the agent, the ledger and the bill are the same. Codex also
changes a file with its tool of free text, which is a function to providers that know no such tools.`

function agentTable(): string {
  const rows: string[][] = []
  for (const { name, protocol } of AGENTS) {
    const row = [name]
    for (const route of ROUTES) row.push(route.protocol === protocol ? 'ok (native)' : 'ok')
    rows.push(row)
  }
  return `${AGENT_HEAD}\n\n${table(['agent', ...ROUTES.map(({ protocol }) => protocol)], rows)}`
}

/** Reasons, numbered in the order met. */
class Notes {
  private readonly reasons: Reason[] = []

  number(reason: Reason): number {
    if (!this.reasons.includes(reason)) this.reasons.push(reason)
    return this.reasons.indexOf(reason) + 1
  }

  text(): string {
    const lines = this.reasons.map(({ why }, i) => `${i + 1}. ${why}`)
    return `## Why not everywhere\n\n${lines.join('\n')}`
  }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function versionOf(packageName: string): string {
  const text = readFileSync(path.join(ROOT, 'e2e', 'package.json'), 'utf8')
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(text)
  return dependencies[packageName] ?? 'unknown'
}
