import { hash } from './answer.ts'
import type { Answer } from './answer-call.ts'
import { answerHeaders, sendJson } from './exchange.ts'
import { charge, formCall, jsonCall, type MediaCall } from './open-media-call.ts'
import { openOutlet } from './outlet.ts'

/** What an image costs, made and read: made up, small and always the same. */
const TOKENS_PER_IMAGE = 272
const TOKENS_PER_FILE = 100
const IMAGE_BYTES = 3_000

export const answerImages: Answer = jsonCall('images', serveImages)
export const answerImageForm: Answer = formCall('images', serveImages)

async function serveImages(call: MediaCall): Promise<void> {
  const { body, exchange, line } = call
  const prompt = typeof body['prompt'] === 'string' ? body['prompt'] : ''
  const count = Number(body['n'] ?? 1)
  const textTokens = await call.sandbox.count([prompt])
  const fileTokens = countFiles(body) * TOKENS_PER_FILE
  line.stream = body['stream'] === true || body['stream'] === 'true'
  if (line.stream)
    return streamImages(call, { prompt, count, inputTokens: textTokens + fileTokens })
  const usage = charge(call, textTokens + fileTokens, count * TOKENS_PER_IMAGE)
  const told = usage === null ? {} : { usage: { ...usage, ...detailsOf(textTokens, fileTokens) } }
  const data = Array.from({ length: count }, (_, i) => ({ b64_json: image(prompt + i) }))
  const answer = { created: Math.floor(exchange.receivedAtMs / 1_000), data, ...told }
  const headers = answerHeaders('openai-chat', exchange.requestId)
  sendJson(exchange.response, 200, JSON.stringify(answer), headers)
}

async function streamImages(
  call: MediaCall,
  asked: { readonly prompt: string; readonly count: number; readonly inputTokens: number },
): Promise<void> {
  const { body, exchange, behaviour } = call
  const kind = exchange.path.endsWith('/edits') ? 'image_edit' : 'image_generation'
  const outlet = openOutlet(exchange.response, behaviour)
  exchange.response.writeHead(200, {
    ...answerHeaders('openai-chat', exchange.requestId),
    'content-type': 'text/event-stream; charset=utf-8',
  })
  const write = (type: string, rest: Readonly<Record<string, unknown>>): Promise<void> =>
    outlet.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`)
  const usage = charge(call, asked.inputTokens * asked.count, asked.count * TOKENS_PER_IMAGE)
  const { inputTokens } = asked
  const own = {
    usage: {
      input_tokens: inputTokens,
      output_tokens: TOKENS_PER_IMAGE,
      total_tokens: inputTokens + TOKENS_PER_IMAGE,
      ...detailsOf(inputTokens, 0),
    },
  }
  for (let i = 0; i < asked.count; i++) {
    const b64 = image(asked.prompt + i)
    for (let partial = 0; partial < Number(body['partial_images'] ?? 0); partial++) {
      await write(`${kind}.partial_image`, { b64_json: b64, partial_image_index: partial })
    }
    await write(`${kind}.completed`, { b64_json: b64, ...(usage === null ? {} : own) })
  }
  outlet.end()
}

function detailsOf(textTokens: number, imageTokens: number): Readonly<Record<string, unknown>> {
  return { input_tokens_details: { text_tokens: textTokens, image_tokens: imageTokens } }
}

function countFiles(body: Readonly<Record<string, unknown>>): number {
  const given = [body['image'], body['images'], body['mask']].flat()
  return given.filter((one) => one !== undefined).length
}

function image(seed: string): string {
  const first = hash(seed)
  return Buffer.from(Array.from({ length: IMAGE_BYTES }, (_, i) => (first + i * 7) % 256)).toString(
    'base64',
  )
}
