import type { Dialect } from '../../contracts/dialect.ts'
import { MESSAGES } from './messages.ts'
import { readAnswer } from './read-answer.ts'
import { readRequest } from './read-request.ts'
import { readRefusal, writeRefusal } from './refusals.ts'
import { streamReader } from './stream-reader.ts'
import { streamWriter } from './stream-writer.ts'
import { writeAnswer } from './write-answer.ts'
import { writeRequest } from './write-request.ts'

/** Names as in the vendor's own tools; ids have no published length, so the one that others state. */
const MAX_NAME_CHARS = 128
const MAX_ID_CHARS = 64

/** How Messages carry a conversation, for both sides. What they cannot: docs/reference/translation.md. */
export const MESSAGES_DIALECT: Dialect = {
  endpointFor: () => MESSAGES,
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  streamReader,
  streamWriter,
  readRefusal,
  writeRefusal,
  toolNames: { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: MAX_NAME_CHARS },
  callIds: { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: MAX_ID_CHARS },
  customTools: false,
}
