import type { ByteEdit, Envelope } from '../../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../../contracts/protocol.ts'
import { NO_USAGE } from '../../../contracts/usage.ts'
import { GatewayError } from '../../../errors/gateway-error.ts'
import { renameModel } from '../../edits.ts'
import { parseBody, readCount, readFlag, readJsonBody, readModel } from '../../read-body.ts'
import { filesOf, formEnvelope, readForm, readFormCount } from '../../read-form.ts'
import { textOrNull } from '../../read-answer.ts'
import { scanAnswer } from '../../scan-answer.ts'
import { EventTap } from './event-tap.ts'
import { readMediaUsage } from './media-usage.ts'

const MAX_IMAGES = 128
/** Twice what a large image of high quality takes (6240), and partial images: from general knowledge, not read live. */
const OUTPUT_TOKENS_PER_IMAGE = 16_384
/** A large image of high fidelity, by the formula of gpt-image-1: from general knowledge, not read live. */
const INPUT_TOKENS_PER_IMAGE = 8192

/** Makes images from a text. */
export const IMAGE_GENERATIONS: ProtocolEndpoint = {
  endpoint: 'images',
  method: 'POST',
  path: '/v1/images/generations',
  query: '',
  streams: true,
  carriesDocuments: true,
  billed: true,
  translated: false,
  framing: 'sse',
  mayAnswerWhole: true,
  media: true,
  readEnvelope,
  boundInput: () => null,
  readInput,
  renameModel,
  capOutput: () => [],
  addPrompts: null,
  askForUsage: () => null,
  readAnswer,
  startTap: (options) => new EventTap(options),
}

/** Changes images: a form with files, or JSON with references. */
export const IMAGE_EDITS: ProtocolEndpoint = {
  ...IMAGE_GENERATIONS,
  path: '/v1/images/edits',
  readForm: readImageForm,
  renameModel: renameInForm,
}

export const IMAGE_VARIATIONS: ProtocolEndpoint = {
  ...IMAGE_EDITS,
  path: '/v1/images/variations',
  readEnvelope: onlyForms,
}

/** For endpoints whose request holds files. */
export function onlyForms(): never {
  throw new GatewayError('unsupported_media_type', 'The body must be multipart/form-data.')
}

/** In a form the model's name stands bare; in JSON it is a string. */
export function renameInForm(envelope: Envelope, model: string): ByteEdit | null {
  const { members, modelSpan } = envelope
  if (modelSpan === null || members.size > 0) return renameModel(envelope, model)
  return { ...modelSpan, text: model }
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  const { model, span } = readModel(body)
  return {
    model,
    modelSpan: span,
    stream: readFlag(body, 'stream'),
    maxOutputTokens: OUTPUT_TOKENS_PER_IMAGE,
    maxOutputSpans: [],
    choices: readCount(body, 'n', MAX_IMAGES) ?? 1,
    streamUsage: true,
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

function readImageForm(bytes: Buffer, boundary: string): Envelope {
  const form = readForm(bytes, boundary)
  return formEnvelope(bytes, form, {
    maxOutputTokens: OUTPUT_TOKENS_PER_IMAGE,
    choices: readFormCount(form, 'n', MAX_IMAGES) ?? 1,
  })
}

function readInput(envelope: Envelope): InputParts {
  const { prompt, image, images, mask } = envelope.values()
  let count = filesOf(envelope).length
  for (const given of [image, images, mask]) {
    if (given !== undefined) count += Array.isArray(given) ? given.length : 1
  }
  return {
    texts: typeof prompt === 'string' ? [prompt] : [],
    overheadTokens: 0,
    mediaTokens: count * INPUT_TOKENS_PER_IMAGE,
  }
}

/** A second model that drew the vectors has a price of its own, so that the cost is unknown. */
function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = scanAnswer(body)
  if (answer === null) return null
  const drawn = (answer.value('svg_usage') ?? null) !== null
  return {
    usage: drawn ? NO_USAGE : readMediaUsage(answer.value('usage')),
    servedModel: textOrNull(answer.value('model')),
    text: () => '',
    failed: (answer.value('error') ?? null) !== null || !answer.has('data'),
  }
}
