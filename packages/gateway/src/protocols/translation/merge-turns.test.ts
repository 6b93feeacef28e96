import { describe, expect, it } from 'vitest'
import { textBlock } from '../../testing/conversations.ts'
import { inputText } from './call-input.ts'
import { Losses } from './losses.ts'
import { mergeTurns } from './merge-turns.ts'

describe('mergeTurns', () => {
  it('merges very many blocks', () => {
    const blocks = Array.from({ length: 300_000 }, () => textBlock('x'))
    const turns = [
      { role: 'system', blocks },
      { role: 'user', blocks },
      { role: 'user', blocks },
    ] as const
    const merged = mergeTurns(turns, { fit: (block) => block, losses: new Losses() })
    expect(merged.system).toHaveLength(300_000)
    expect(merged.turns[0]?.blocks).toHaveLength(600_000)
  })
})

describe('inputText', () => {
  it('survives what is too deep to be written', () => {
    const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    expect(inputText(deep)).toBe('{}')
    expect(inputText({ a: 1 })).toBe('{"a":1}')
    expect(inputText(undefined)).toBe('{}')
  })
})
