import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What the gateway knows of one client connection. */
export type Connection = {
  /** Answers under way. Raw bytes written meanwhile would land inside one of them. */
  openAnswers: number
  /** The answer that ends the connection is decided; whatever else comes on it is not a request any more. */
  closing: boolean
}

const connections = new WeakMap<Duplex, Connection>()

export function connectionOf(socket: Duplex): Connection {
  let connection = connections.get(socket)
  if (connection === undefined) {
    connection = { openAnswers: 0, closing: false }
    connections.set(socket, connection)
  }
  return connection
}

/** Makes this the last answer of its connection. */
export function answerLast(connection: Connection, res: ServerResponse): void {
  connection.closing = true
  if (!res.headersSent) res.shouldKeepAlive = false
}
