import { describe, expect, it } from 'vitest'
import { claudeRules } from './claude-thinking.ts'

describe('claudeRules', () => {
  it.each([
    ['claude-3-haiku-20240307', false, 'free'],
    ['claude-3-7-sonnet-20250219', false, 'free'],
    ['claude-sonnet-4-20250514', false, 'free'],
    ['claude-opus-4-1-20250805', false, 'one'],
    ['claude-haiku-4-5@20251001', false, 'one'],
    ['us.anthropic.claude-sonnet-4-5-20250929-v1:0', false, 'one'],
    ['claude-opus-4-6', true, 'one'],
    ['anthropic/claude-4.7-opus', true, 'none'],
    ['claude-opus-4-10', true, 'none'],
    ['claude-sonnet-5', true, 'none'],
    ['claude-fable-5-2', true, 'none'],
    ['claude-mythos-preview', true, 'none'],
    ['kimi-k2', false, 'free'],
    ['my-claude', true, 'none'],
  ])('%s: adaptive %s, sampling %s', (model, adaptive, sampling) => {
    expect(claudeRules(model)).toEqual({ adaptive, sampling })
  })
})
