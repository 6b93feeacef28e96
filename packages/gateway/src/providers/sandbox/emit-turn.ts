import type { ServerResponse } from 'node:http'
import type { Fault } from './behaviour.ts'
import type { OpenBillLine } from './bill.ts'
import type { Outlet } from './outlet.ts'
import type { Turn } from './turn.ts'
import { errorFrame } from './vendor-errors.ts'
import { WIRES } from './wires.ts'

/** One call while it is answered. */
export type Call = {
  readonly response: ServerResponse
  readonly outlet: Outlet
  readonly line: OpenBillLine
  readonly requestId: string
  /** Milliseconds between output tokens. */
  readonly tokenMs: number
  readonly headers: Readonly<Record<string, string>>
}

/** Sent even to who asked for `identity`, as some vendors' edges do. */
const GZIP = { 'content-encoding': 'gzip' }

/** Writes the answer, token by token or whole, with the fault that was asked for. */
export async function emitTurn(call: Call, turn: Turn): Promise<void> {
  if (turn.behaviour.firstByteMs > 0) await call.outlet.pause(turn.behaviour.firstByteMs)
  if (call.outlet.gone()) return
  await (turn.ask.stream ? emitStream(call, turn) : emitWhole(call, turn))
}

async function emitStream(call: Call, turn: Turn): Promise<void> {
  const { outlet, line, response } = call
  const fault = turn.behaviour.fault
  response.writeHead(200, {
    ...call.headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...(turn.behaviour.gzip ? GZIP : {}),
  })
  let atToken = 0
  const wire = WIRES[turn.ask.protocol]
  for (const frame of wire.frames(turn)) {
    if (outlet.gone()) return
    if (frame.tokens > 0) {
      if (fault !== null && atToken >= fault.afterTokens) return applyFault(call, turn, fault)
      if (atToken > 0) await outlet.pause(call.tokenMs)
      if (outlet.gone()) return
      atToken += 1
      charge(line, turn, frame.tokens)
      if (turn.behaviour.pings) await outlet.write(wire.ping)
    }
    await outlet.write(turn.behaviour.crlf ? frame.text.replaceAll('\n', '\r\n') : frame.text)
  }
  line.outcome = 'finished'
  outlet.end()
}

/** A token is paid when it is made, whether or not its reader still listens. */
function charge(line: OpenBillLine, turn: Turn, tokens: number): void {
  line.outputTokens += tokens
  line.reasoningTokens = Math.min(line.outputTokens, turn.usage.reasoningTokens)
}

/** A whole answer takes as long as its tokens; who leaves meanwhile pays for those made so far. */
async function emitWhole(call: Call, turn: Turn): Promise<void> {
  const { outlet, line, response } = call
  const tokens = turn.usage.outputTokens
  const startedAtMs = performance.now()
  if (call.tokenMs > 0) await outlet.pause(call.tokenMs * tokens)
  if (outlet.gone()) {
    const made = Math.floor((performance.now() - startedAtMs) / call.tokenMs)
    charge(line, turn, Math.min(tokens, made))
    return
  }
  charge(line, turn, tokens)
  const body = WIRES[turn.ask.protocol].body(turn)
  const length = { 'content-length': String(Buffer.byteLength(body)) }
  response.writeHead(200, {
    ...call.headers,
    'content-type': 'application/json',
    ...(turn.behaviour.gzip ? GZIP : length),
  })
  const fault = turn.behaviour.fault
  if (fault !== null) {
    await outlet.write(body.slice(0, Math.floor(body.length / 2)))
    return applyFault(call, turn, fault)
  }
  await outlet.write(body)
  line.outcome = 'finished'
  outlet.end()
}

type FaultAction = (call: Call, turn: Turn) => void | Promise<void>

const FAULTS: Readonly<Record<Fault['kind'], FaultAction>> = {
  /** A whole answer has announced its length, so its connection can only end too early. */
  cut: (call, turn) => (turn.ask.stream ? call.outlet.end() : void call.response.socket?.end()),
  drop: (call) => void call.response.socket?.end(),
  reset: (call) => void call.response.socket?.resetAndDestroy(),
  stall: () => {},
  error: async (call, turn) => {
    if (!turn.ask.stream) {
      call.response.socket?.end()
      return
    }
    await call.outlet.write(errorFrame(turn.ask.protocol, call.requestId))
    call.outlet.end()
  },
}

async function applyFault(call: Call, turn: Turn, fault: Fault): Promise<void> {
  call.line.outcome = 'cut_by_fault'
  /** What was written must leave before the connection ends. */
  if (fault.kind === 'reset' || fault.kind === 'drop') await call.outlet.pause(5)
  await FAULTS[fault.kind](call, turn)
}
