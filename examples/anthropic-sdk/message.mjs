// A streamed message through Tollgate. See README.md.
import Anthropic from '@anthropic-ai/sdk'

const client = new Anthropic({
  baseURL: process.env.TOLLGATE_URL ?? 'http://127.0.0.1:8080',
  apiKey: process.env.TOLLGATE_KEY,
})

const stream = client.messages.stream({
  model: process.argv[2] ?? 'sandbox/sandbox-mini',
  max_tokens: 256,
  messages: [{ role: 'user', content: 'Say hello in one sentence.' }],
})
stream.on('text', (text) => process.stdout.write(text))
const { usage } = await stream.finalMessage()
process.stdout.write(`\n${JSON.stringify(usage)}\n`)
