import { connect, type Socket } from 'node:net'
import { startProcess } from './child.ts'
import { onClose } from './cleanup.ts'
import { tempFolder } from './folders.ts'

const LISTEN = `
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log('port', server.address().port))`
/** More than it has room for, so that the next one waits. */
const FILLERS = 6

/** A host that no connection can be made to, and that refuses none: its process is stopped and its queue is full. */
export async function startDeafHost(): Promise<{ readonly url: string }> {
  const child = startProcess(process.execPath, ['-e', LISTEN], { cwd: tempFolder() })
  const [, port = ''] = await child.line(/port (\d+)/)
  child.kill('SIGSTOP')
  const fillers: Socket[] = []
  onClose(() => {
    for (const filler of fillers) filler.destroy()
    child.kill('SIGKILL')
  })
  for (let i = 0; i < FILLERS; i++) {
    fillers.push(connect(Number(port), '127.0.0.1').on('error', () => {}))
  }
  return { url: `http://127.0.0.1:${port}` }
}
