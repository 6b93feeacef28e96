import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const SWEEP_EVERY_MS = 20

/**
 * Follows a server's connections. The function returned takes nothing new, lets answers under way be written, and ends
 * what is left after the grace.
 */
export function drainable(server: Server): (graceMs: number) => Promise<void> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })

  // A connection whose answer has just ended is kept alive by its client, and one that was opened in advance has never
  // been used (Node does not count it as idle): both would hold the server open.
  function sweep(): void {
    server.closeIdleConnections()
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  }

  return (graceMs) =>
    new Promise((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      const sweeping = setInterval(sweep, SWEEP_EVERY_MS)
      server.close(() => {
        clearTimeout(cut)
        clearInterval(sweeping)
        resolve()
      })
      sweep()
    })
}
