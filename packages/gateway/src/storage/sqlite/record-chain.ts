import { createHmac, timingSafeEqual } from 'node:crypto'
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isRecord } from '../../lib/is-record.ts'
import type { Engine } from './engine.ts'
import { type KeyedHash, keyedHash } from './keyed-hash.ts'

/**
 * The chain over the records, in the order of their commits: each link is a keyed hash of the one before and of the
 * record. Without the key nobody can make a link, so an edit, an insertion, a deletion or another order shows at the next.
 */
export type ChainPoint = { readonly bodyId: number; readonly link: Uint8Array }

const GENESIS = 'tollgate ledger, first link'
const NOTHING = new Uint8Array(0)

/** As many as the operator has secrets: the present one and former ones. */
const hashes = new Map<string, KeyedHash>()

/** Hot: once per record. */
export function linkAfter(key: string, before: Uint8Array, body: string): Buffer {
  let hash = hashes.get(key)
  if (hash === undefined) {
    hash = keyedHash(key)
    hashes.set(key, hash)
  }
  return hash(before, body)
}

export function sameLink(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Where the kept chain starts: after the records of before the chain, or after those that retention took. */
export function chainStart(engine: Engine): (ChainPoint & { readonly mac: Uint8Array }) | null {
  const [row] = engine.query('SELECT body_id, link, mac FROM chain_start WHERE id = 1', []).rows
  if (row === undefined) return null
  const { body_id: bodyId, link, mac } = row
  if (typeof bodyId !== 'number' || !(link instanceof Uint8Array)) return null
  return { bodyId, link, mac: mac instanceof Uint8Array ? mac : NOTHING }
}

/** Within a transaction. */
export function moveChainStart(engine: Engine, key: string, to: ChainPoint): void {
  engine.query(
    'INSERT INTO chain_start (id, body_id, link, mac) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body_id = excluded.body_id, link = excluded.link, mac = excluded.mac',
    [to.bodyId, to.link, pointMac(key, 'start', to)],
  )
}

/** The last link; with a key, the first call in a store begins its chain. Within a transaction. */
export function chainHead(engine: Engine, key: string | null): ChainPoint {
  const [row] = engine.query(
    'SELECT body_id, link FROM record_bodies ORDER BY body_id DESC LIMIT 1',
    [],
  ).rows
  const bodyId = typeof row?.['body_id'] === 'number' ? row['body_id'] : 0
  const start = chainStart(engine)
  if (start === null && key !== null) {
    const first = { bodyId, link: createHmac('sha256', key).update(GENESIS).digest() }
    moveChainStart(engine, key, first)
    return first
  }
  if (start !== null && start.bodyId >= bodyId) return start
  return { bodyId, link: row?.['link'] instanceof Uint8Array ? row['link'] : NOTHING }
}

export function pointMac(key: string, what: 'start' | 'checkpoint', point: ChainPoint): Buffer {
  return createHmac('sha256', key).update(`${what} ${point.bodyId} `).update(point.link).digest()
}

/** Between two checkpoints: what a cut of the tail can take unseen. */
const CHECKPOINT_MS = 60_000
const MOST_FILE_BYTES = 1024 * 1024

export type CheckpointFile = {
  /** Notes the last link when the former note is old enough, or at once. */
  readonly note: (point: ChainPoint, now: 'when due' | 'at once') => void
}

/** A file beside the database, so that who cuts the database's tail has to cut two. Never throws: a full disk shows elsewhere. */
export function checkpointFile(path: string, key: string): CheckpointFile {
  let notedAtMs = Number.NEGATIVE_INFINITY
  let notedId = -1
  let bytes: number | null = null
  return {
    note(point, now) {
      const atMs = Date.now()
      if (point.bodyId === notedId || point.bodyId === 0) return
      if (now === 'when due' && Math.abs(atMs - notedAtMs) < CHECKPOINT_MS) return
      const link = Buffer.from(point.link).toString('hex')
      const mac = pointMac(key, 'checkpoint', point).toString('hex')
      const at = new Date(atMs).toISOString()
      const line = `${JSON.stringify({ at, body_id: point.bodyId, link, mac })}\n`
      try {
        bytes ??= shorten(path)
        appendFileSync(path, line, { mode: 0o600 })
        bytes += line.length
        if (bytes > MOST_FILE_BYTES) bytes = null
        notedAtMs = atMs
        notedId = point.bodyId
      } catch {
        bytes = null
      }
    },
  }
}

/** The newer half stays. Returns the size. */
function shorten(path: string): number {
  const text = readText(path)
  if (text.length < MOST_FILE_BYTES) return text.length
  const from = text.indexOf('\n', text.length / 2) + 1
  writeFileSync(`${path}.new`, text.slice(from), { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return text.length - from
}

export type Checkpoint = ChainPoint & { readonly at: string; readonly valid: boolean }

/** Lines that are none count as forged. A last line without an end was cut off by the end of the process. */
export function readCheckpoints(path: string, keys: readonly string[]): readonly Checkpoint[] {
  const lines = readText(path).split('\n').slice(0, -1)
  return lines.map((line) => readCheckpoint(line, keys))
}

function readCheckpoint(line: string, keys: readonly string[]): Checkpoint {
  try {
    const value: unknown = JSON.parse(line)
    if (!isRecord(value)) throw new TypeError('Not an object.')
    const { at, body_id: bodyId, link, mac } = value
    if (typeof bodyId !== 'number' || typeof link !== 'string') throw new TypeError('No link.')
    const point = { bodyId, link: Buffer.from(link, 'hex') }
    const given = Buffer.from(String(mac), 'hex')
    const valid = keys.some((key) => sameLink(pointMac(key, 'checkpoint', point), given))
    return { ...point, at: String(at), valid }
  } catch {
    return { at: '', bodyId: 0, link: NOTHING, valid: false }
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
