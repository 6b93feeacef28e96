import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createClient } from '@redis/client'

/** A redis-server of the test's own: a free port, a temporary folder, nothing kept. */
export type RedisProcess = {
  readonly port: number
  readonly url: string
  readonly command: (...words: string[]) => Promise<unknown>
  /** As if the machine had lost power. */
  readonly kill: () => Promise<void>
  /** Again, at the same port: empty, but for what an append-only file kept. */
  readonly restart: () => Promise<void>
  /** SIGSTOP and SIGCONT. */
  readonly freeze: (frozen: boolean) => void
  readonly stop: () => Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Whether redis-server is installed. Says so where it is not, because tests are skipped then. */
export function hasRedis(): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0
  if (!found) process.stderr.write('redis-server is not installed: its tests are skipped\n')
  return found
}

export async function startRedis(...settings: readonly string[]): Promise<RedisProcess> {
  const port = await freePort()
  const folder = mkdtempSync(path.join(tmpdir(), 'tollgate-redis-'))
  const url = `redis://127.0.0.1:${port}`
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  let child = await launch([...args, ...settings], url)
  return {
    port,
    url,
    command: (...words) => ask(url, words),
    async kill() {
      await end(child, 'SIGKILL')
    },
    async restart() {
      child = await launch([...args, ...settings], url)
    },
    freeze: (frozen) => void child.kill(frozen ? 'SIGSTOP' : 'SIGCONT'),
    async stop() {
      child.kill('SIGCONT')
      await end(child, 'SIGTERM')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function launch(args: readonly string[], url: string): Promise<ChildProcess> {
  const child = spawn('redis-server', args, { stdio: 'ignore' })
  running.add(child)
  const untilMs = performance.now() + 10_000
  for (;;) {
    try {
      await ask(url, ['PING'])
      return child
    } catch (thrown) {
      if (performance.now() > untilMs || child.exitCode !== null) throw thrown
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  running.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill(signal)
  await ended
}

async function ask(url: string, words: string[]): Promise<unknown> {
  const client = createClient({ url, RESP: 2, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.sendCommand(words)
  } finally {
    client.destroy()
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = address === null || typeof address === 'string' ? 0 : address.port
      server.close(() => resolve(port))
    })
  })
}
