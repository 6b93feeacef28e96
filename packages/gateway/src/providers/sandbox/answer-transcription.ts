import type { Answer } from './answer-call.ts'
import { BadAsk } from './ask.ts'
import { answerHeaders, sendJson } from './exchange.ts'
import { charge, formCall, type MediaCall } from './open-media-call.ts'
import { openOutlet } from './outlet.ts'

const BYTES_PER_TOKEN = 100
const BYTES_PER_SECOND = 1_000

/** What was said is how much was sent. */
export const answerTranscription: Answer = formCall('audio', async (call) => {
  const { body, exchange, model, line } = call
  const { file } = body
  if (!(file instanceof Blob)) throw new BadAsk("Missing required parameter: 'file'.", 'file')
  const text = `Somebody said ${file.size} bytes.`
  const seconds = Math.ceil(file.size / BYTES_PER_SECOND)
  const outputTokens = await call.sandbox.count([text])
  const audioTokens = Math.ceil(file.size / BYTES_PER_TOKEN)
  const tokens = charge(call, audioTokens, outputTokens)
  const details = { input_token_details: { audio_tokens: audioTokens, text_tokens: 0 } }
  const counted = tokens === null ? null : { type: 'tokens', ...tokens, ...details }
  const usage = model.startsWith('whisper') ? { type: 'duration', seconds } : counted
  line.usageReported &&= usage === counted
  const told = usage === null ? {} : { usage }
  if (body['stream'] === 'true' && usage === counted) return streamText(call, text, told)
  const { response_format: format } = body
  if (format !== undefined && format !== 'json' && format !== 'verbose_json') {
    line.usageReported = false
    return sendText(call, textAs(format, text))
  }
  const answer = format === 'verbose_json' ? { duration: seconds, language: 'english' } : {}
  const headers = answerHeaders('openai-chat', exchange.requestId)
  sendJson(exchange.response, 200, JSON.stringify({ ...answer, text, ...told }), headers)
})

function textAs(format: unknown, text: string): string {
  if (format === 'srt') return `1\n00:00:00,000 --> 00:00:01,000\n${text}\n\n`
  if (format === 'vtt') return `WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n${text}\n\n`
  return `${text}\n`
}

function sendText({ exchange }: MediaCall, text: string): void {
  exchange.response.writeHead(200, {
    ...answerHeaders('openai-chat', exchange.requestId),
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
  })
  exchange.response.end(text)
}

async function streamText(
  { exchange, behaviour, line }: MediaCall,
  text: string,
  told: Readonly<Record<string, unknown>>,
): Promise<void> {
  line.stream = true
  const outlet = openOutlet(exchange.response, behaviour)
  exchange.response.writeHead(200, {
    ...answerHeaders('openai-chat', exchange.requestId),
    'content-type': 'text/event-stream; charset=utf-8',
  })
  for (const word of text.split(/(?<= )/)) {
    const delta = { type: 'transcript.text.delta', delta: word }
    await outlet.write(`data: ${JSON.stringify(delta)}\n\n`)
  }
  const done = { type: 'transcript.text.done', text, ...told }
  await outlet.write(`data: ${JSON.stringify(done)}\n\n`)
  outlet.end()
}
