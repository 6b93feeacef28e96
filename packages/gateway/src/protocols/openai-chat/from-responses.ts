import type { AdoptedBody } from '../../contracts/protocol.ts'
import { CustomTools } from '../translation/custom-tools.ts'
import { Losses } from '../translation/losses.ts'
import { readRequest } from '../openai-responses/read-request.ts'
import { RESPONSES } from '../openai-responses/responses.ts'
import { readJsonBody } from '../read-body.ts'
import { writeRequest } from './write-request.ts'

/**
 * A body in the shape of Responses, as Cursor posts it to chat completions, as a chat body; null for any other body. The
 * answer is a chat answer.
 *
 * Usage on the stream is not asked for here: the client did not, and the gateway asks for itself.
 */
export function fromResponses(bytes: Buffer, maxDepth: number): AdoptedBody | null {
  const { members } = readJsonBody(bytes, maxDepth, null)
  if (members.has('messages') || !members.has('input')) return null
  const { model, stream, values } = RESPONSES.readEnvelope(bytes, maxDepth)
  const losses = new Losses()
  const asked = readRequest(values(), { model, stream, losses })
  if (asked.tools.some(({ kind }) => kind === 'custom')) losses.add('tools[].type=custom')
  const text = writeRequest(new CustomTools(asked.tools).wrapRequest(asked), {
    maxOutputTokens: 0,
    outputCapMember: null,
    refusesUsageOption: true,
    keeps: () => true,
    losses,
  })
  return { body: Buffer.from(text), losses: losses.list }
}
