// A fixed upstream: the same small JSON answer or the same stream of events, as fast as node:http gives them.
import { createServer } from 'node:http'

const EVENTS = 50
const chunk = (delta: object, finish: string | null) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'bench',
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`
const usage = { prompt_tokens: 900, completion_tokens: EVENTS, total_tokens: 900 + EVENTS }
const first = chunk({ role: 'assistant', content: '' }, null)
const middle = chunk({ content: ' word' }, null)
const last = `${chunk({}, 'stop')}data: ${JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'bench',
  choices: [],
  usage,
})}\n\ndata: [DONE]\n\n`
const answer = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1,
    model: 'bench',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'word '.repeat(EVENTS) },
        finish_reason: 'stop',
      },
    ],
    usage,
  }),
)

const server = createServer((req, res) => {
  let streams = false
  let idles = false
  req.on('data', (part: Buffer) => {
    streams ||= part.includes('"stream":true')
    idles ||= part.includes('"idle"')
  })
  req.on('end', () => {
    if (!streams) {
      res.writeHead(200, [
        'content-type',
        'application/json',
        'content-length',
        String(answer.length),
      ])
      return void res.end(answer)
    }
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write(first)
    if (idles) return
    let sent = 0
    const next = () => {
      if (sent++ < EVENTS) {
        res.write(middle)
        setImmediate(next)
      } else res.end(last)
    }
    next()
  })
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`listening ${typeof address === 'object' ? address?.port : ''}\n`)
})
