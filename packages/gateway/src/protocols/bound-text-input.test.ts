import { describe, expect, it } from 'vitest'
import { boundTextInput } from './bound-text-input.ts'

const bound = (text: string): number | null => boundTextInput(Buffer.from(text), ['image'])

describe('a bound from the size alone', () => {
  it('is no less than the bytes of a request without media', () => {
    expect(bound('{"content":"caf\\u00e9"}')).toBeGreaterThan(22)
  })

  it.each(['{"type":"image_url"}', '{"type":"\\u0069mage_url"}', '{"type":"im\\u0061ge"}'])(
    'is not given for %s',
    (text) => {
      expect(bound(text)).toBeNull()
    },
  )
})
