import { REASONING_STATES } from '../../packages/gateway/src/providers/sandbox/reasoning-state.ts'
import { check, checkEqual, systemIn } from './checks.ts'
import type { Answer, Call, Session, Setup, ToolOffer } from './client.ts'
import { givesProofBack, showsThinking } from './reasons.ts'
import type { Stage } from './stage.ts'

export type Feature = {
  readonly name: string
  readonly label: string
  /** Throws what does not hold. */
  readonly run: (stage: Stage) => Promise<void>
}

const WEATHER: ToolOffer = {
  name: 'weather',
  description: 'The weather in a city.',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
}
const CLOCK: ToolOffer = {
  name: 'clock',
  description: 'The time in a zone.',
  schema: {
    type: 'object',
    properties: { zone: { type: 'string' } },
    required: ['zone'],
    additionalProperties: false,
  },
}
const ONE_CALL = '[[tool:weather {"city":"Oslo"}]] What is it like in Oslo?'
const TWO_CALLS =
  '[[tool:weather {"city":"Lima"}]]+[[tool:clock {"zone":"America/Lima"}]] And in Lima?'
/** What the sandbox thinks in eight tokens. */
const THOUGHT = 'the road is open and every car that'
const SCHEMA = {
  type: 'object',
  properties: { count: { type: 'integer' }, name: { type: 'string' } },
  required: ['count', 'name'],
  additionalProperties: false,
}
/** A PNG of one pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const PLAIN: Omit<Setup, 'model'> = {
  stream: false,
  system: null,
  tools: [],
  forced: null,
  schema: null,
  stop: null,
  think: false,
}

export const FEATURES: readonly Feature[] = [
  { name: 'text', label: 'text', run: (stage) => words(stage, false) },
  { name: 'stream', label: 'streamed text', run: (stage) => words(stage, true) },
  { name: 'system', label: 'system prompt', run: system },
  { name: 'turns', label: 'several turns', run: turns },
  { name: 'image', label: 'image', run: image },
  { name: 'tool', label: 'tool call', run: (stage) => toolCall(stage, false) },
  { name: 'tool-stream', label: 'streamed tool call', run: (stage) => toolCall(stage, true) },
  { name: 'parallel', label: 'parallel tools', run: parallel },
  { name: 'forced', label: 'forced tool', run: forced },
  { name: 'schema', label: 'JSON schema', run: schema },
  { name: 'reasoning', label: 'reasoning', run: reasoning },
  { name: 'moves', label: 'another provider midway', run: moves },
  { name: 'stop', label: 'stop sequence', run: stop },
  { name: 'usage', label: 'usage', run: usage },
  { name: 'broken', label: 'broken stream', run: broken },
  { name: '401', label: 'error 401', run: unknownKey },
  { name: '404', label: 'error 404', run: unknownModel },
  { name: '429', label: 'error 429', run: tooMany },
]

function open(
  { client, place }: Stage,
  setup: Partial<Setup> & { readonly model: string },
): Session {
  return client.open(place, { ...PLAIN, ...setup })
}

function ask(session: Session, text: string, pngBase64: string | null = null): Promise<Answer> {
  return session.say({ from: 'user', text, pngBase64 })
}

async function words(stage: Stage, stream: boolean): Promise<void> {
  const answer = await ask(open(stage, { model: 'words-7', stream }), 'hello')
  checkEqual(answer.text, 'the road is open and every car', 'text')
  checkEqual(answer.finish, stage.client.finishes.end, 'finish')
  if (stream) check(answer.pieces > 3, `the text came in ${answer.pieces} pieces`)
}

async function system(stage: Stage): Promise<void> {
  await ask(open(stage, { model: 'echo', system: 'Speak like a pirate.' }), 'hello')
  const told = systemIn(stage.route.protocol, await stage.upstreamBody())
  check(told.includes('Speak like a pirate.'), `the provider's instructions are ${told}`)
}

async function turns(stage: Stage): Promise<void> {
  const session = open(stage, { model: 'words-9' })
  const first = await ask(session, 'question one')
  const second = await ask(session, 'question two')
  checkEqual(second.text, first.text, 'text')
  const body = JSON.stringify(await stage.upstreamBody())
  const places = ['question one', first.text, 'question two'].map((text) => body.indexOf(text))
  checkEqual(
    places,
    [...places].toSorted((a, b) => a - b),
    'order of the turns',
  )
  check(!places.includes(-1), 'a turn is missing')
}

async function image(stage: Stage): Promise<void> {
  const answer = await ask(open(stage, { model: 'words-3' }), 'What is this?', PIXEL)
  checkEqual(answer.text, 'the road is', 'text')
  const body = JSON.stringify(await stage.upstreamBody())
  check(body.includes(PIXEL), 'the image did not reach the provider')
}

async function toolCall(stage: Stage, stream: boolean): Promise<void> {
  const session = open(stage, { model: 'scripted', stream, tools: [WEATHER, CLOCK] })
  const answer = await ask(session, ONE_CALL)
  checkCalls(answer, [['weather', { city: 'Oslo' }]])
  checkEqual(answer.finish, stage.client.finishes.tools, 'finish')
  await finish(stage, session, answer.calls)
}

async function parallel(stage: Stage): Promise<void> {
  for (const stream of [false, true]) {
    const session = open(stage, { model: 'scripted', stream, tools: [WEATHER, CLOCK] })
    const answer = await ask(session, TWO_CALLS)
    checkCalls(answer, [
      ['weather', { city: 'Lima' }],
      ['clock', { zone: 'America/Lima' }],
    ])
    await finish(stage, session, answer.calls)
  }
}

async function forced(stage: Stage): Promise<void> {
  const tools = [CLOCK, WEATHER]
  const session = open(stage, { model: 'sandbox-mini', tools, forced: 'weather' })
  const { calls } = await ask(session, 'hello')
  checkEqual(
    calls.map(({ name }) => name),
    ['weather'],
    'calls',
  )
}

/** Gives the results back: the provider gets each of them, and answers with text. */
async function finish(stage: Stage, session: Session, calls: readonly Call[]): Promise<void> {
  const results = calls.map((call) => ({ call, text: `the answer of ${call.name}` }))
  const last = await session.say({ from: 'tools', results })
  check(last.text !== '', 'no text after the results')
  checkEqual(last.finish, stage.client.finishes.end, 'finish after the results')
  const body = JSON.stringify(await stage.upstreamBody())
  for (const { text } of results) check(body.includes(text), `"${text}" did not reach the provider`)
}

function checkCalls(
  { calls }: Answer,
  wanted: readonly (readonly [name: string, input: unknown])[],
): void {
  checkEqual(
    calls.map(({ input, name }) => [name, input]),
    wanted,
    'calls',
  )
  const ids = calls.map(({ id }) => id).filter((id) => id !== '')
  checkEqual(new Set(ids).size, ids.length, 'different ids')
}

async function schema(stage: Stage): Promise<void> {
  const { text } = await ask(open(stage, { model: 'sandbox-mini', schema: SCHEMA }), 'hello')
  const told: unknown = JSON.parse(text)
  check(typeof told === 'object' && told !== null, text)
  checkEqual(Object.keys(told ?? {}).toSorted(), ['count', 'name'], 'members of the JSON answer')
}

/** The thinking arrives, and goes back with the tool's result to the provider that signed it. */
async function reasoning(stage: Stage): Promise<void> {
  for (const stream of [false, true]) {
    const setup = { model: 'reasoning-8+scripted', stream, tools: [WEATHER], think: true }
    const session = open(stage, setup)
    const answer = await ask(session, ONE_CALL)
    const shown = showsThinking(stage.client, stage.route)
    checkEqual(answer.thinking, shown ? THOUGHT : '', 'thinking')
    checkCalls(answer, [['weather', { city: 'Oslo' }]])
    await finish(stage, session, answer.calls)
    const { protocol } = stage.route
    if (protocol === 'openai-chat' || !givesProofBack(stage.client, stage.route)) continue
    const body = JSON.stringify(await stage.upstreamBody())
    check(body.includes(REASONING_STATES[protocol]), 'the proof of the thinking did not go back')
  }
}

/** A tool's result goes to another provider than its call came from: it gets no proof that is not its own. */
async function moves(stage: Stage): Promise<void> {
  const setup = { model: 'reasoning-8+scripted', tools: [WEATHER], think: true }
  for (const { arrive, place } of await stage.arrivals()) {
    const session = open({ ...stage, place }, setup)
    const { calls } = await ask(session, ONE_CALL)
    await arrive()
    await finish(stage, session, calls)
  }
}

async function stop(stage: Stage): Promise<void> {
  for (const stream of [false, true]) {
    const session = open(stage, { model: 'echo', stream, stop: 'STOP' })
    checkEqual((await ask(session, 'alpha beta STOP gamma')).text.trim(), 'alpha beta', 'text')
  }
}

async function usage(stage: Stage): Promise<void> {
  for (const stream of [false, true]) {
    const answer = await ask(open(stage, { model: 'words-25', stream }), 'hello')
    const line = await stage.billLine()
    checkEqual(
      [answer.inputTokens, answer.outputTokens],
      [line.inputTokens, line.outputTokens],
      'usage',
    )
    // What is cached is compared in the ledger: clients count it each in a way of their own.
    await ask(
      open(stage, { model: 'cached', stream }),
      'A prompt that is long enough to be cached.',
    )
  }
}

const BREAKS = ['cut-after-5', 'drop-after-5', 'error-after-5']

/** However the provider's stream breaks, the client throws, or says that the answer failed. */
async function broken(stage: Stage): Promise<void> {
  for (const model of BREAKS) {
    const session = open(stage, { model, stream: true })
    const end = await ask(session, 'hello').then(
      (answer) => answer.finish,
      () => 'failed',
    )
    checkEqual(end, 'failed', `the end of ${model}`)
  }
}

async function unknownKey(stage: Stage): Promise<void> {
  await checkError({ ...stage, place: { ...stage.place, key: 'tkn_wrong' } }, 'words-3', 401)
}

/** A model that the provider does not know, and one for which there is no provider. */
async function unknownModel(stage: Stage): Promise<void> {
  await checkError(stage, 'no-such-model', 404)
  await checkError({ ...stage, place: stage.strayPlace }, 'no-such-model', 404)
}

/** The provider's own refusal, and the gateway's. */
async function tooMany(stage: Stage): Promise<void> {
  await checkError(stage, 'error-429', 429)
  await checkError({ ...stage, place: await stage.spentPlace() }, 'words-3', 429)
}

async function checkError(stage: Stage, model: string, status: 401 | 404 | 429): Promise<void> {
  for (const stream of [false, true]) {
    const thrown = await failure(ask(open(stage, { model, stream }), 'hello'))
    const told = stage.client.readError(thrown)
    checkEqual([told.status, told.name], [status, stage.client.errors[status]], 'error')
  }
}

async function failure(answer: Promise<Answer>): Promise<unknown> {
  try {
    await answer
  } catch (thrown) {
    return thrown
  }
  return new Error('it did not fail')
}
