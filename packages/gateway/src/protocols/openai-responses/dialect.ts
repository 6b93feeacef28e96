import type { Dialect } from '../../contracts/dialect.ts'
import { readRefusal, writeRefusal } from '../openai-wire/refusals.ts'
import { readAnswer } from './read-answer.ts'
import { readRequest } from './read-request.ts'
import { RESPONSES } from './responses.ts'
import { streamReader } from './stream-reader.ts'
import { streamWriter } from './stream-writer.ts'
import { writeAnswer } from './write-answer.ts'
import { writeRequest } from './write-request.ts'

/** OpenAI's own limits. From general knowledge, not read live. */
const MAX_NAME_CHARS = 64
const MAX_ID_CHARS = 64

/** How Responses carry a conversation, for both sides. What they cannot: docs/reference/translation.md. */
export const RESPONSES_DIALECT: Dialect = {
  endpointFor: () => RESPONSES,
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  streamReader,
  streamWriter,
  readRefusal,
  writeRefusal,
  toolNames: { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: MAX_NAME_CHARS },
  callIds: { pattern: /^[!-~]+$/, maxChars: MAX_ID_CHARS },
  customTools: true,
}
