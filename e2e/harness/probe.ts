import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

// A second client, in a process of its own so that nothing of the test slows it: asks one URL again and again.
// SIGTERM prints how long the answers took, in milliseconds.
const url = process.argv[2] ?? ''
const PAUSE_MS = 2
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const times: number[] = []
let failed = 0

function ask(): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
    })
    request.on('error', () => resolve(false))
  })
}

process.once('SIGTERM', () => {
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? 0
  const report = { asked: times.length, failed, p50: at(0.5), p99: at(0.99), worst: at(1) }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
})
// The first answers open the connection and warm the code up.
for (let i = 0; i < 20; i++) await ask()
process.stdout.write('probing\n')
for (;;) {
  const startedMs = performance.now()
  if (!(await ask())) failed += 1
  times.push(performance.now() - startedMs)
  await sleep(PAUSE_MS)
}
