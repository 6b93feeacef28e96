import { isUtf8 } from 'node:buffer'
import type { Envelope } from '../../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../../contracts/protocol.ts'
import { NO_USAGE } from '../../../contracts/usage.ts'
import { textOrNull } from '../../read-answer.ts'
import { fileSizes, filesOf, formEnvelope, readForm } from '../../read-form.ts'
import { scanAnswer } from '../../scan-answer.ts'
import { EventTap } from './event-tap.ts'
import { onlyForms, renameInForm } from './images.ts'
import { readMediaUsage } from './media-usage.ts'

/** Sound takes 10 tokens a second, and 4 kbit/s is the least that any codec makes of speech. From general knowledge. */
const BYTES_PER_TOKEN = 50
const FIXED_TOKENS = 1024
const PAGE = /^\s*<(?:!doctype|html)/i
const PAGE_CHARS = 256

/** Writes down speech. Answers are JSON, text or subtitles, as the form asks. */
export const TRANSCRIPTIONS: ProtocolEndpoint = {
  endpoint: 'audio',
  method: 'POST',
  path: '/v1/audio/transcriptions',
  query: '',
  streams: true,
  carriesDocuments: true,
  billed: true,
  translated: false,
  framing: 'sse',
  /** whisper-1 overlooks `stream`. */
  mayAnswerWhole: true,
  media: true,
  readEnvelope: onlyForms,
  readForm: readAudioForm,
  boundInput: () => null,
  readInput,
  renameModel: renameInForm,
  capOutput: () => [],
  addPrompts: null,
  askForUsage: () => null,
  readAnswer,
  startTap: (options) => new EventTap(options),
}

/** The same, into English. */
export const TRANSLATIONS: ProtocolEndpoint = {
  ...TRANSCRIPTIONS,
  path: '/v1/audio/translations',
}

function readAudioForm(bytes: Buffer, boundary: string): Envelope {
  const form = readForm(bytes, boundary)
  const maxOutputTokens = FIXED_TOKENS + soundTokens(fileSizes(form))
  return formEnvelope(bytes, form, { maxOutputTokens, choices: 1 })
}

function readInput(envelope: Envelope): InputParts {
  const { prompt } = envelope.values()
  return {
    texts: typeof prompt === 'string' ? [prompt] : [],
    overheadTokens: 0,
    mediaTokens: soundTokens(filesOf(envelope)),
  }
}

function soundTokens(sizes: readonly number[]): number {
  let bytes = 0
  for (const size of sizes) bytes += size
  return Math.ceil(bytes / BYTES_PER_TOKEN)
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = scanAnswer(body)
  if (answer === null) return readPlain(body)
  return {
    usage: readMediaUsage(answer.value('usage')),
    servedModel: textOrNull(answer.value('model')),
    text: () => '',
    failed: (answer.value('error') ?? null) !== null || !answer.has('text'),
  }
}

/** Text and subtitles; a page is none. */
function readPlain(body: Buffer): AnswerFacts | null {
  if (!isUtf8(body) || PAGE.test(body.toString('latin1', 0, PAGE_CHARS))) return null
  return { usage: NO_USAGE, servedModel: null, text: () => '', failed: false }
}
