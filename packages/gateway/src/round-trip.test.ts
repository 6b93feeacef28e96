import { assert as check, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Conversation } from './contracts/conversation.ts'
import type { Dialect, RenderOptions } from './contracts/dialect.ts'
import { isRecord } from './lib/is-record.ts'
import { CustomTools } from './protocols/translation/custom-tools.ts'
import { fitNames } from './protocols/translation/fit-names.ts'
import { Losses } from './protocols/translation/losses.ts'
import { PROTOCOLS } from './registry.ts'
import { conversations, normalised, wordsOf } from './testing/conversations.ts'

type Named = { readonly id: string; readonly dialect: Dialect }

/** Those that clients speak too: of the others there is nothing to read back. */
const DIALECTS: readonly Named[] = PROTOCOLS.flatMap(({ id, dialect, endpoints }) =>
  dialect === null || endpoints.length === 0 ? [] : [{ id, dialect }],
)

/** Says it in a dialect and reads it back, as the other side would. */
function through(dialect: Dialect, said: Conversation, losses: Losses): Conversation {
  const wrapped = dialect.customTools ? said : new CustomTools(said.tools).wrapRequest(said)
  const { conversation } = fitNames(wrapped, dialect)
  const options: RenderOptions = {
    maxOutputTokens: 4096,
    outputCapMember: null,
    refusesUsageOption: false,
    keeps: () => true,
    losses,
  }
  const value: unknown = JSON.parse(dialect.writeRequest(conversation, options))
  const { model, stream } = said
  return dialect.readRequest(isRecord(value) ? value : {}, { model, stream, losses })
}

/** Where losses are listed, only the words must be the same. A default that is said aloud is no difference. */
function comparable(said: Conversation, losses: Losses): Conversation | null {
  if (losses.list.length > 0) return null
  const { maxOutputTokens, output, parallelTools, reasoning, toolChoice, ...rest } =
    normalised(said)
  return {
    ...rest,
    reasoning: reasoning?.budgetTokens
      ? { ...reasoning, shown: reasoning.shown ?? true }
      : reasoning,
    toolChoice: toolChoice ?? { kind: 'auto' },
    parallelTools: toolChoice?.kind === 'none' ? null : (parallelTools ?? true),
    maxOutputTokens: maxOutputTokens ?? 4096,
    output: output.kind === 'schema' ? { ...output, name: null } : output,
  }
}

function missingWords(heard: Conversation, said: Conversation): readonly string[] {
  const words = wordsOf(heard)
  return wordsOf(said)
    .split('\n')
    .filter((word) => !words.includes(word))
}

describe.each(DIALECTS)('$id', ({ dialect }) => {
  it('says every conversation so that it reads the same, or lists what it could not say', () => {
    check(
      property(conversations, (said) => {
        const losses = new Losses()
        const heard = through(dialect, said, losses)
        expect(comparable(heard, losses)).toEqual(comparable(said, losses))
        expect(missingWords(heard, said)).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})

const PAIRS = DIALECTS.flatMap((client) =>
  DIALECTS.filter(({ id }) => id !== client.id).map((upstream) => ({
    name: `${client.id} to ${upstream.id} and back`,
    client: client.dialect,
    upstream: upstream.dialect,
  })),
)

describe.each(PAIRS)('$name', ({ client, upstream }) => {
  it('loses nothing unlisted, and no word ever', () => {
    check(
      property(conversations, (wanted) => {
        const said = through(client, wanted, new Losses())
        const losses = new Losses()
        const heard = through(client, through(upstream, said, losses), losses)
        expect(comparable(heard, losses)).toEqual(comparable(said, losses))
        expect(missingWords(heard, said)).toEqual([])
      }),
      { numRuns: 150 },
    )
  })
})
