import { readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { HeldCharge } from '../../contracts/durable-charge.ts'
import type { LeftCall, OpenCall } from '../../contracts/open-calls.ts'
import { isRecord } from '../../lib/is-record.ts'

/** Of the header and of each slot. */
export const SLOT_BYTES = 4096
const VERSION = 1
/** State (1 byte, 3 unused), length and checksum of what follows. */
const HEAD_BYTES = 12
/** States; 0 is free. What was noted counts as sent unless it says that it waits. */
const SENT = 1
const WAITING = 2
export const FREE_BYTE: Buffer = Buffer.of(0)
export const SENT_BYTE: Buffer = Buffer.of(SENT)
export const WAITING_BYTE: Buffer = Buffer.of(WAITING)

export const JOURNAL_HEADER: Buffer = header()

export type FoundSlot =
  | { readonly kind: 'free' | 'damaged' }
  | { readonly kind: 'call'; readonly call: LeftCall }

export function isJournalHeader(bytes: Buffer): boolean {
  return bytes.equals(JOURNAL_HEADER)
}

export function offsetOf(slot: number): number {
  return (slot + 1) * SLOT_BYTES
}

/** All but the state. Returns how many bytes to write. Throws a `RangeError` for a call that has no room in a slot. */
export function writeSlot(slot: Buffer, call: OpenCall): number {
  const text = JSON.stringify(call)
  const room = SLOT_BYTES - HEAD_BYTES
  if (text.length * 3 > room && Buffer.byteLength(text) > room) {
    throw new RangeError('Too many limits apply to the call.')
  }
  const length = slot.write(text, HEAD_BYTES)
  slot.writeUInt32LE(length, 4)
  slot.writeUInt32LE(crc32(slot.subarray(HEAD_BYTES, HEAD_BYTES + length)), 8)
  return HEAD_BYTES + length
}

export function readSlot(fd: number, slot: number): FoundSlot {
  const head = Buffer.alloc(HEAD_BYTES)
  const at = offsetOf(slot)
  if (readSync(fd, head, 0, HEAD_BYTES, at) === 0 || head[0] === 0) return { kind: 'free' }
  const length = head.readUInt32LE(4)
  const sent = head[0] === SENT
  if (!sent && head[0] !== WAITING) return { kind: 'damaged' }
  if (length > SLOT_BYTES - HEAD_BYTES) return { kind: 'damaged' }
  const body = Buffer.alloc(length)
  const read = readSync(fd, body, 0, length, at + HEAD_BYTES)
  if (read < length || crc32(body) !== head.readUInt32LE(8)) return { kind: 'damaged' }
  const call = parse(body)
  return call === null ? { kind: 'damaged' } : { kind: 'call', call: { ...call, sent } }
}

function header(): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES)
  bytes.write('TGOC')
  bytes.writeUInt32LE(VERSION, 4)
  bytes.writeUInt32LE(SLOT_BYTES, 8)
  return bytes
}

function parse(body: Buffer): OpenCall | null {
  try {
    const call: unknown = JSON.parse(body.toString())
    return isOpenCall(call) ? call : null
  } catch {
    return null
  }
}

const TEXTS = [
  'requestId',
  'keyId',
  'endpoint',
  'protocol',
  'requestedModel',
  'model',
  'provider',
  'target',
]
const AMOUNTS = ['startedAtMs', 'inputTokens', 'outputTokens']

function isOpenCall(call: unknown): call is OpenCall {
  if (!isRecord(call) || !Array.isArray(call['charges'])) return false
  const cost = call['costNanoUsd']
  return (
    TEXTS.every((name) => typeof call[name] === 'string') &&
    AMOUNTS.every((name) => isAmount(call[name])) &&
    (cost === null || isAmount(cost)) &&
    call['charges'].every(isHeld)
  )
}

function isHeld(charge: unknown): charge is HeldCharge {
  if (!isRecord(charge) || !isAlgorithm(charge['algorithm'])) return false
  return (
    ['counter', 'id', 'scope', 'value', 'unit'].every((name) => typeof charge[name] === 'string') &&
    isAmount(charge['amount']) &&
    Number.isSafeInteger(charge['at']) &&
    (charge['reservation'] === undefined || typeof charge['reservation'] === 'string')
  )
}

function isAlgorithm(algorithm: unknown): boolean {
  if (!isRecord(algorithm)) return false
  const { kind, window } = algorithm
  if (kind === 'bucket')
    return isAmount(algorithm['capacity']) && Number(algorithm['refillPerSec']) >= 0
  if (!isAmount(algorithm['amount'])) return false
  if (kind === 'lifetime' || kind === 'concurrent') return true
  if ((kind !== 'fixed' && kind !== 'sliding') || !isRecord(window)) return false
  return (
    typeof window['text'] === 'string' && (isAmount(window['ms']) || isAmount(window['months']))
  )
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
