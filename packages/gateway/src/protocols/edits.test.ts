import {
  assert,
  constantFrom,
  dictionary,
  jsonValue,
  property,
  shuffledSubarray,
  tuple,
} from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ProtocolEndpoint } from '../contracts/protocol.ts'
import { applyEdits } from '../lib/byte-edits.ts'
import { MESSAGES } from './anthropic-messages/messages.ts'
import { CHAT } from './openai-chat/chat.ts'
import { stripRouting } from './strip-routing.ts'

/** Spellings that a parser and a printer would change. */
const ODD = constantFrom(
  '9007199254740993',
  '1e5',
  '-0.0',
  '1.50',
  '"\\u00e9"',
  '"é"',
  '"\\/\\u0000\\ud800"',
  '[ ]',
  '{"b":1,"a":{"model":"inner"}}',
  'null',
)
const SPACE = constantFrom('', ' ', '\n  ', '\t', '\r\n')
const OTHER_NAMES = constantFrom('"temperature"', '"x"', '"\\u0061"', '"é\\""', '"metadata"', '""')

type Piece = readonly [name: string, value: string]

/** A body with its members in any order and any white space, and where each member's value stands. */
function written(pieces: readonly Piece[], space: string): string {
  const members = pieces.map(([name, value]) => `${name}${space}:${space}${value}${space}`)
  return `${space}{${space}${members.join(`,${space}`)}}${space}`
}

const ESSENTIALS: readonly Piece[] = [
  ['"model"', '"\\u006dodel-a"'],
  ['"messages"', '[{"role":"user","content":"h\\u00e9 é"}]'],
  ['"max_tokens"', '64'],
  ['"stream"', 'true'],
]

const bodies = tuple(
  shuffledSubarray([...ESSENTIALS], { minLength: 4 }),
  dictionary(OTHER_NAMES, ODD, { maxKeys: 5, noNullPrototype: true }),
  SPACE,
  jsonValue(),
).map(([essentials, others, space, value]) => {
  const more: Piece[] = [...Object.entries(others), ['"extra"', JSON.stringify(value, null, 1)]]
  const names = new Set<unknown>()
  const pieces = [...more.slice(0, 2), ...essentials, ...more.slice(2)].filter(([name]) => {
    const known: unknown = JSON.parse(name)
    return !names.has(known) && names.add(known)
  })
  return { pieces, space }
})

describe.each<[string, ProtocolEndpoint]>([
  ['chat', CHAT],
  ['messages', MESSAGES],
])('edits of %s', (_name, endpoint) => {
  it('change the model and the cap, and no other byte', () => {
    assert(
      property(bodies, ({ pieces, space }) => {
        const text = written(pieces, space)
        const body = Buffer.from(text)
        const envelope = endpoint.readEnvelope(body, 64)
        const rename = endpoint.renameModel(envelope, 'other/"model"')
        const edited = applyEdits(body, [
          ...(rename === null ? [] : [rename]),
          ...endpoint.capOutput(envelope, 7, null),
        ])
        const wanted = pieces.map(([name, value]): Piece => {
          if (name === '"model"') return [name, '"other/\\"model\\""']
          return name === '"max_tokens"' ? [name, '7'] : [name, value]
        })
        expect(edited.toString()).toBe(written(wanted, space))
      }),
    )
  })

  it('add a cap behind the last member, so that the prefix stays', () => {
    assert(
      property(bodies, ({ pieces, space }) => {
        const kept = pieces.filter(([name]) => name !== '"max_tokens"')
        const body = Buffer.from(written(kept, space))
        const envelope = CHAT.readEnvelope(body, 64)
        const edited = applyEdits(body, CHAT.capOutput(envelope, 7, 'max_completion_tokens'))
        const at = envelope.membersEndAt
        expect(edited.subarray(0, at)).toEqual(body.subarray(0, at))
        expect(edited.toString('utf8', at)).toBe(
          `,"max_completion_tokens":7${body.toString('utf8', at)}`,
        )
      }),
    )
  })
})

describe('stripRouting', () => {
  const ROUTING: readonly Piece[] = [
    ['"api_base"', '"http://evil.test"'],
    ['"\\u0062ase_url"', '{"a":[":\\""]}'],
    ['"extra_headers"', '{"authorization":"x"}'],
  ]
  const mixed = tuple(
    shuffledSubarray([...ROUTING, ...ESSENTIALS, ['"é\\":"', '1'], ['""', '2']] as Piece[], {
      minLength: 9,
    }),
    SPACE,
  )

  it('cuts the members by which a client could choose the host, wherever they stand', () => {
    assert(
      property(mixed, ([pieces, space]) => {
        const body = Buffer.from(written(pieces, space))
        const envelope = CHAT.readEnvelope(body, 64)
        const edited = applyEdits(body, stripRouting(body, envelope) ?? []).toString()
        const kept = pieces.filter((piece) => !ROUTING.includes(piece))
        const value: unknown = JSON.parse(edited)
        expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(written(kept, ''))))
        for (const [name, text] of kept) expect(edited).toContain(`${name}${space}:${space}${text}`)
      }),
    )
  })

  it('goes together with an option added at the end', () => {
    const text = '{"model":"m","messages":[{"role":"user"}],"stream":true,"api_base" : "x" }'
    const body = Buffer.from(text)
    const envelope = CHAT.readEnvelope(body, 64)
    const usage = CHAT.askForUsage(body, envelope)
    const edits = [...(stripRouting(body, envelope) ?? []), ...(usage === null ? [] : [usage])]
    expect(applyEdits(body, edits).toString()).toBe(
      '{"model":"m","messages":[{"role":"user"}],"stream":true,"stream_options":{"include_usage":true} }',
    )
  })

  it('leaves every other body alone', () => {
    const body = Buffer.from('{"model":"m","messages":[{"role":"user"}],"metadata":{"api_base":1}}')
    expect(stripRouting(body, CHAT.readEnvelope(body, 64))).toBe(null)
  })
})
