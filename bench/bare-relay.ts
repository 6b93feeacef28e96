// What a gateway cannot be faster than in Node: node:http in front, an undici pool behind, and nothing between them.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { Pool } from 'undici'

const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, {
  connections: null,
  headersTimeout: 0,
})

const server = createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => void relay(req, res, chunks))
})

async function relay(
  req: IncomingMessage,
  res: ServerResponse,
  chunks: readonly Buffer[],
): Promise<void> {
  const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
  const answer = await pool.request({
    method: 'POST',
    path: req.url ?? '/',
    headers: {
      'content-type': 'application/json',
      authorization: req.headers.authorization ?? '',
    },
    body,
  })
  const type = String(answer.headers['content-type'])
  if (type.startsWith('text/event-stream')) {
    res.writeHead(answer.statusCode, { 'content-type': type })
    pipeline(answer.body, res, () => {})
    return
  }
  const whole = Buffer.from(await answer.body.arrayBuffer())
  res.writeHead(answer.statusCode, { 'content-type': type, 'content-length': whole.length })
  res.end(whole)
}

server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`listening ${typeof address === 'object' ? address?.port : ''}\n`)
})
