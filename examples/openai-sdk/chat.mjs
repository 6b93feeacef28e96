// A streamed chat through Tollgate. See README.md.
import OpenAI from 'openai'

const client = new OpenAI({
  baseURL: `${process.env.TOLLGATE_URL ?? 'http://127.0.0.1:8080'}/v1`,
  apiKey: process.env.TOLLGATE_KEY,
})

const stream = await client.chat.completions.create({
  model: process.argv[2] ?? 'sandbox/sandbox-mini',
  messages: [{ role: 'user', content: 'Say hello in one sentence.' }],
  stream: true,
  stream_options: { include_usage: true },
})
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? '')
  if (chunk.usage) process.stdout.write(`\n${JSON.stringify(chunk.usage)}\n`)
}
