import { parseArgs } from 'node:util'
import { SANDBOX_PORT } from './facts.ts'
import { startSandbox } from './sandbox.ts'

const { values } = parseArgs({
  options: { port: { type: 'string' }, 'token-ms': { type: 'string' } },
})

const sandbox = await startSandbox({
  port: Number(values.port ?? SANDBOX_PORT),
  tokenMs: Number(values['token-ms'] ?? 0),
})
process.stdout.write(`sandbox ready at ${sandbox.url}\n`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void sandbox.close())
}
