import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { renameModel } from '../edits.ts'
import { invalidField, readModel, scanBody } from '../read-body.ts'
import { answerMember, scanAnswer } from '../scan-answer.ts'
import { ChatTap } from './chat-tap.ts'
import { readUsage } from './usage.ts'

export const EMBEDDINGS: ProtocolEndpoint = {
  endpoint: 'embeddings',
  method: 'POST',
  path: '/v1/embeddings',
  streams: false,
  carriesDocuments: false,
  billed: true,
  readEnvelope,
  readInput,
  renameModel,
  capOutput: () => [],
  askForUsage: () => null,
  readAnswer,
  startTap: (options) => new ChatTap(options),
}

function readEnvelope(body: Buffer): Envelope {
  const scan = scanBody(body, null)
  const { model, span } = readModel(body, scan)
  if (!scan.members.has('input')) throw invalidField('input', 'is required.')
  return {
    model,
    modelSpan: span,
    stream: false,
    maxOutputTokens: 0,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: false,
    members: scan.members,
    membersEndAt: scan.membersEndAt,
    sizeBytes: body.length,
  }
}

/** Input is a text, texts, a list of token ids, or lists of token ids. */
function readInput(body: Buffer): InputParts {
  const request: unknown = JSON.parse(body.toString('utf8'))
  const input: unknown = isRecord(request) ? request['input'] : null
  const texts: string[] = []
  let idCount = 0
  for (const item of Array.isArray(input) ? input : [input]) {
    if (typeof item === 'string') texts.push(item)
    else idCount += Array.isArray(item) ? item.length : 1
  }
  return { texts, overheadTokens: idCount, mediaTokens: 0 }
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const scan = scanAnswer(body)
  if (scan === null) return null
  const model = answerMember(body, scan, 'model')
  return {
    usage: { ...readUsage(answerMember(body, scan, 'usage')), outputTokens: 0 },
    servedModel: typeof model === 'string' ? model : null,
    text: () => '',
    failed: answerMember(body, scan, 'error') !== null || !scan.members.has('data'),
  }
}
