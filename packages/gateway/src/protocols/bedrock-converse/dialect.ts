import type { Dialect } from '../../contracts/dialect.ts'
import { CONVERSE, CONVERSE_STREAM } from './converse.ts'
import { notServed } from './not-served.ts'
import { readAnswer } from './read-answer.ts'
import { readRefusal } from './refusals.ts'
import { streamReader } from './stream-reader.ts'
import { writeRequest } from './write-request.ts'

/** The provider's half of a dialect: no client speaks Converse to the gateway. */
export const CONVERSE_DIALECT: Dialect = {
  endpointFor: (stream) => (stream ? CONVERSE_STREAM : CONVERSE),
  writeRequest,
  readAnswer,
  streamReader,
  readRefusal,
  readRequest: notServed,
  writeAnswer: notServed,
  streamWriter: notServed,
  writeRefusal: notServed,
  toolNames: { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: 64 },
  callIds: { pattern: /^[a-zA-Z0-9_-]+$/, maxChars: 64 },
  customTools: false,
}
