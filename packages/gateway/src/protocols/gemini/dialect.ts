import type { Dialect, NameRule } from '../../contracts/dialect.ts'
import { GENERATE, STREAM_GENERATE } from './generate.ts'
import { readAnswer } from './read-answer.ts'
import { readRequest } from './read-request.ts'
import { readRefusal, writeRefusal } from './refusals.ts'
import { GeminiReader } from './stream-reader.ts'
import { GeminiWriter } from './stream-writer.ts'
import { writeAnswer } from './write-answer.ts'
import { writeRequest } from './write-request.ts'

/**
 * Newer models take 128 characters and colons too; this is what all of them take.
 *
 * @see https://ai.google.dev/api/caching#FunctionDeclaration (read in the official client 3.1, 2026-11-21)
 */
const TOOL_NAMES: NameRule = { pattern: /^[a-zA-Z_][a-zA-Z0-9_.-]*$/, maxChars: 64 }
/** Any text; kept to what goes into logs. From general knowledge. */
const CALL_IDS: NameRule = { pattern: /^[a-zA-Z0-9_.:-]+$/, maxChars: 128 }

export const GEMINI_DIALECT: Dialect = {
  endpointFor: (stream) => (stream ? STREAM_GENERATE : GENERATE),
  readRequest,
  writeRequest,
  readAnswer,
  writeAnswer,
  streamReader: () => new GeminiReader(),
  streamWriter: (options) => new GeminiWriter(options),
  readRefusal,
  writeRefusal,
  toolNames: TOOL_NAMES,
  callIds: CALL_IDS,
  customTools: false,
}
