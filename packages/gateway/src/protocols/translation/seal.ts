import type { Signature } from '../../contracts/conversation.ts'

/** Stands at the head of everything sealed. Only characters that every protocol allows in an id. */
export const SEAL_MARK = 'tgseal_'
const JOINT = `_${SEAL_MARK}`

/**
 * A provider's signature as a client of another protocol holds it: with the name of the provider that can read it.
 *
 * The client sends it back unchanged on its next turn; the origin then decides who may have it.
 */
export function sealSignature({ value, origin }: Signature): string {
  if (origin === null) return value
  return SEAL_MARK + Buffer.from(JSON.stringify([origin, value])).toString('base64url')
}

/** The reverse. Text that is not sealed is the client's own protocol's signature: origin null. */
export function openSignature(text: string): Signature {
  return (text.startsWith(SEAL_MARK) ? unpack(text.slice(SEAL_MARK.length)) : null) ?? plain(text)
}

/** Protocols without a place for a tool call's signature carry it in the call's id, which clients give back. */
export function sealCallId(id: string, signature: Signature | null): string {
  return signature === null || signature.origin === null ? id : `${id}_${sealSignature(signature)}`
}

export function openCallId(text: string): { id: string; signature: Signature | null } {
  const at = text.indexOf(JOINT)
  const signature = at === -1 ? null : unpack(text.slice(at + JOINT.length))
  return signature === null ? { id: text, signature: null } : { id: text.slice(0, at), signature }
}

function plain(value: string): Signature {
  return { value, origin: null }
}

/** Null when a client made it up. */
function unpack(packed: string): Signature | null {
  try {
    const pair: unknown = JSON.parse(Buffer.from(packed, 'base64url').toString())
    if (!Array.isArray(pair) || pair.length !== 2) return null
    const [origin, value]: readonly unknown[] = pair
    return typeof origin === 'string' && typeof value === 'string' ? { value, origin } : null
  } catch {
    return null
  }
}
