/**
 * Where an answer is written: the client's own connection, or one that several clients read. What `ServerResponse` has,
 * as far as the pipeline uses it.
 */
export type ClientAnswer = {
  /** Nobody reads any more. */
  readonly destroyed: boolean
  readonly headersSent: boolean
  readonly writableEnded: boolean
  /** Bytes that wait to be sent. */
  readonly writableLength: number
  /** Names and values in turn. */
  writeHead(status: number, headers: string[]): unknown
  /** False: wait for `drain` before the next. */
  write(bytes: Buffer): boolean
  end(body?: Buffer): unknown
  end(body: string, encoding: 'latin1'): unknown
  once(event: 'drain', listener: () => void): unknown
  setTimeout(ms: number, listener: () => void): unknown
  destroy(): unknown
}
