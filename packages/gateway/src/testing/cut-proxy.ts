import { connect, createServer, type Socket } from 'node:net'

/** A way to a server that can be cut for one client only. */
export type CutProxy = {
  readonly port: number
  readonly cut: () => void
  readonly mend: () => void
  /** Another server at the same address: open connections are cut. */
  readonly leadTo: (port: number) => void
  readonly close: () => Promise<void>
}

export async function cutProxy(toPort: number): Promise<CutProxy> {
  const sockets = new Set<Socket>()
  const state = { cut: false, port: toPort }
  const server = createServer((client) => {
    if (state.cut) return void client.destroy()
    const upstream = connect(state.port, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: address === null || typeof address === 'string' ? 0 : address.port,
    cut() {
      state.cut = true
      drop()
    },
    mend() {
      state.cut = false
    },
    leadTo(port) {
      state.port = port
      drop()
    },
    close: () =>
      new Promise((resolve) => {
        drop()
        server.close(() => resolve())
      }),
  }
}
