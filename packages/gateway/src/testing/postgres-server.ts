import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'

/** A server of its own for a test file, on a free port, with a password. */
export type PostgresServer = {
  /** An empty database. Gives its URL. */
  createDatabase(): Promise<string>
  /** One statement, as the owner of everything. */
  run(url: string, sql: string): Promise<readonly Record<string, unknown>[]>
  /** Ends every connection and waits for the end. */
  stop(): Promise<void>
  /** As before, with the same port and data. */
  start(): Promise<void>
  /** Stops it and removes its data. */
  close(): Promise<void>
}

const USER = 'tollgate'
const PASSWORD = 'postgres-canary'
const START_MS = 20_000
const FOLDERS = ['/usr/local/bin', '/opt/homebrew/bin', ...versionsIn('/usr/lib/postgresql')]

/** The folder with `initdb` and `postgres`; null where Postgres is not installed, or nobody may run it. */
export const POSTGRES_FOLDER: string | null = findFolder()

if (POSTGRES_FOLDER === null) {
  process.stderr.write('Postgres is not installed here: its tests are skipped.\n')
}

function findFolder(): string | null {
  if (isRoot() && idOf('-u') === null) return null
  const places = [...(process.env['PATH'] ?? '').split(path.delimiter), ...FOLDERS]
  return places.find(hasPrograms) ?? null
}

function hasPrograms(folder: string): boolean {
  return ['initdb', 'postgres'].every((name) => existsSync(path.join(folder, name)))
}

function versionsIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).map((version) => path.join(folder, version, 'bin'))
}

/** Postgres refuses to run as root: then it runs as its own user. */
function owner(): { readonly uid: number; readonly gid: number } | null {
  const [uid, gid] = isRoot() ? [idOf('-u'), idOf('-g')] : [null, null]
  return uid === null || gid === null ? null : { uid, gid }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function idOf(flag: '-u' | '-g'): number | null {
  const { status, stdout } = spawnSync('id', [flag, 'postgres'])
  return status === 0 ? Number(stdout.toString()) : null
}

export async function startPostgres(): Promise<PostgresServer> {
  const folder = POSTGRES_FOLDER
  if (folder === null) throw new Error('Postgres is not installed.')
  const as = owner()
  const place = mkdtempSync(path.join(tmpdir(), 'tollgate-postgres-'))
  const passwordFile = path.join(place, 'password')
  writeFileSync(passwordFile, PASSWORD, { mode: 0o600 })
  if (as !== null) for (const each of [place, passwordFile]) chownSync(each, as.uid, as.gid)
  const data = path.join(place, 'data')
  const spawning = { stdio: 'ignore', cwd: place, ...as } as const
  const flags = ['-U', USER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '-N']
  execFileSync(path.join(folder, 'initdb'), ['-D', data, ...flags], spawning)
  const port = await freePort()
  const urlOf = (database: string): string =>
    `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
  const args = ['-D', data, '-p', String(port), ...settings.flatMap((one) => ['-c', one])]
  let child: ChildProcess | null = null
  let databases = 0

  async function start(): Promise<void> {
    child = spawn(path.join(folder ?? '', 'postgres'), args, spawning)
    const deadline = Date.now() + START_MS
    while (!(await answers(urlOf('postgres')))) {
      if (Date.now() > deadline) throw new Error('Postgres did not start.')
      await sleep(20)
    }
  }

  async function stop(): Promise<void> {
    const running = child
    child = null
    if (running === null) return
    const exited = once(running, 'exit')
    running.kill('SIGINT')
    await exited
  }

  await start()
  return {
    start,
    stop,
    run,
    async createDatabase() {
      const name = `test_${databases++}`
      await run(urlOf('postgres'), `CREATE DATABASE ${name}`)
      return urlOf(name)
    },
    async close() {
      await stop()
      rmSync(place, { recursive: true, force: true })
    },
  }
}

async function run(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    await run(url, 'SELECT 1')
    return true
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
