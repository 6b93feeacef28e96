import type { Envelope } from '../contracts/envelope.ts'
import type { BodyText } from '../contracts/protocol.ts'
import { visitStrings } from '../lib/json-strings.ts'

/** Where texts stand, as the names on the way to them, joined by dots. */
export type TextPlaces = {
  /** Members of the body that hold texts. */
  readonly members: readonly string[]
  /** Texts that a user wrote, when their message's role is a user's. */
  readonly own: ReadonlySet<string>
  /** Texts of anybody else. */
  readonly others: ReadonlySet<string>
  /** The place of a message's role. */
  readonly role: string
  /** Whether a role is a user's; null: the message has none. */
  readonly isUser: (role: string | null) => boolean
}

type Found = Omit<BodyText, 'fromUser'> & { readonly element: number; readonly isOwn: boolean }

/** Finds the texts of a conversation: not what models wrote for tools, nor what is signed or named. */
export function textsFinder(
  places: TextPlaces,
): (body: Buffer, envelope: Envelope) => readonly BodyText[] {
  return (body, { members }) => {
    const texts: BodyText[] = []
    for (const name of places.members) {
      const span = members.get(name)
      if (span !== undefined) texts.push(...textsIn(body, { name, start: span.start }, places))
    }
    return texts
  }
}

function textsIn(
  body: Buffer,
  { name, start }: { readonly name: string; readonly start: number },
  { own, others, role, isUser }: TextPlaces,
): readonly BodyText[] {
  const found: Found[] = []
  const roles = new Map<number, string>()
  visitStrings(body, start, (keys, element, span) => {
    const place = [name, ...keys].join('.')
    if (place === role) {
      roles.set(element, String(JSON.parse(body.toString('utf8', span.start, span.end))))
    }
    const isOwn = own.has(place)
    if (isOwn || others.has(place)) found.push({ ...span, element, isOwn })
  })
  return found.map(({ start: from, end, isOwn, element }) => ({
    start: from,
    end,
    fromUser: isOwn && isUser(roles.get(element) ?? null),
  }))
}
