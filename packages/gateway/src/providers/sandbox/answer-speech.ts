import { hash } from './answer.ts'
import type { Answer } from './answer-call.ts'
import { BadAsk } from './ask.ts'
import { answerHeaders } from './exchange.ts'
import { charge, jsonCall } from './open-media-call.ts'
import { openOutlet } from './outlet.ts'

const TYPES: Readonly<Record<string, string>> = {
  mp3: 'audio/mpeg',
  opus: 'audio/opus',
  aac: 'audio/aac',
  flac: 'audio/flac',
  wav: 'audio/wav',
  pcm: 'audio/pcm',
}
const BYTES_PER_WORD = 500

/** One chunk of sound for each word, at the speed of a model's tokens. */
export const answerSpeech: Answer = jsonCall('audio', async (call) => {
  const { body, exchange, behaviour, sandbox } = call
  const { input } = body
  if (typeof input !== 'string' || input === '') {
    throw new BadAsk("Missing required parameter: 'input'.", 'input')
  }
  const format = typeof body['response_format'] === 'string' ? body['response_format'] : 'mp3'
  const events = body['stream_format'] === 'sse'
  const words = input.split(/\s+/)
  const usage = charge(call, await sandbox.count([input]), words.length)
  call.line.stream = true
  call.line.usageReported &&= events
  const outlet = openOutlet(exchange.response, behaviour)
  exchange.response.writeHead(200, {
    ...answerHeaders('openai-chat', exchange.requestId),
    'content-type': events ? 'text/event-stream' : (TYPES[format] ?? 'application/octet-stream'),
  })
  for (const word of words) {
    await outlet.pause(behaviour.tokenMs ?? sandbox.tokenMs)
    if (outlet.gone()) return
    const sound = soundOf(word)
    if (events) await outlet.write(frame('speech.audio.delta', { audio: sound.toString('base64') }))
    else await outlet.writeBytes(sound)
  }
  if (events) await outlet.write(frame('speech.audio.done', usage === null ? {} : { usage }))
  outlet.end()
})

function soundOf(word: string): Buffer {
  const first = hash(word)
  return Buffer.from(Array.from({ length: BYTES_PER_WORD }, (_, i) => (first + i * 13) % 256))
}

function frame(type: string, rest: Readonly<Record<string, unknown>>): string {
  return `data: ${JSON.stringify({ type, ...rest })}\n\n`
}
