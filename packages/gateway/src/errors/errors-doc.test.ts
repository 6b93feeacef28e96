import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ANTHROPIC_MESSAGES } from '../protocols/anthropic-messages/anthropic-messages.ts'
import { OPENAI_CHAT } from '../protocols/openai-chat/openai-chat.ts'
import { CODES, GatewayError, type GatewayErrorCode } from './gateway-error.ts'

const PAGE = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8')
const ROW = /^\| `(\w+)` \| (\d{3}) \| `(\w+)` \| `(\w+)` \| (yes|no) \|/gm

function isCode(name: string): name is GatewayErrorCode {
  return name in CODES
}

function typeIn(body: string): string {
  return /"type":"((?!error")\w+)"/.exec(body)?.[1] ?? ''
}

/** As the program has it, in the form of a row of the page. */
function inCode(code: GatewayErrorCode): readonly string[] {
  const { status, tryNext } = CODES[code]
  const error = new GatewayError(code, 'x')
  return [
    code,
    String(status),
    typeIn(OPENAI_CHAT.renderError(error, 'id').body),
    typeIn(ANTHROPIC_MESSAGES.renderError(error, 'id').body),
    tryNext ? 'yes' : 'no',
  ]
}

describe('docs/errors.md', () => {
  const rows = [...PAGE.matchAll(ROW)].map((match) => match.slice(1))

  it('lists every code once, in order, with its status and types, and no other', () => {
    expect(rows).toEqual(Object.keys(CODES).filter(isCode).map(inCode))
  })
})
