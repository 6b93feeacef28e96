/** A failure in the middle of an answer, once so many output tokens were written. */
export type Fault = {
  /** `cut`: the body ends in good order; `drop`: the connection ends mid body; `reset`: RST; `stall`: silence. */
  readonly kind: 'cut' | 'drop' | 'reset' | 'stall' | 'error'
  readonly afterTokens: number
}

type AnswerKind = 'mini' | 'large' | 'echo' | 'words'
export type OddBody = 'error-in-200' | 'redirect' | 'not-json' | 'html'

/** What a model of the sandbox does, read from its name. See docs/guides/sandbox.md. */
export type Behaviour = {
  readonly answer: AnswerKind
  /** With `words`: how many output tokens. */
  readonly words: number
  readonly reasoningTokens: number
  /** Tool calls made when tools are offered and none is forced. */
  readonly toolCalls: number
  /** Follows `[[tool:NAME {json}]]` in the last user text. */
  readonly scripted: boolean
  readonly firstByteMs: number
  /** Null: the sandbox's own speed. */
  readonly tokenMs: number | null
  /** Answer with this HTTP status instead. */
  readonly errorStatus: number | null
  /** With 429: the account is out of money, which waiting does not cure. */
  readonly quota: boolean
  readonly fault: Fault | null
  readonly oddBody: OddBody | null
  readonly oddStatus: number
  readonly usage: 'true' | 'none' | 'zero' | 'cached'
  readonly gzip: boolean
  readonly weirdChunks: boolean
  readonly pings: boolean
  readonly crlf: boolean
  readonly badUtf8: boolean
  /** Bytes of text in the first output frame; 0 for ordinary frames. */
  readonly hugeBytes: number
}

const PLAIN: Behaviour = {
  answer: 'mini',
  words: 0,
  reasoningTokens: 0,
  toolCalls: 0,
  scripted: false,
  firstByteMs: 0,
  tokenMs: null,
  errorStatus: null,
  quota: false,
  fault: null,
  oddBody: null,
  oddStatus: 200,
  usage: 'true',
  gzip: false,
  weirdChunks: false,
  pings: false,
  crlf: false,
  badUtf8: false,
  hugeBytes: 0,
}

type Rule = readonly [pattern: RegExp, apply: (number: number) => Partial<Behaviour>]

const RULES: readonly Rule[] = [
  [/^sandbox-mini$/, () => ({})],
  [/^sandbox-large$/, () => ({ answer: 'large' })],
  [/^echo$/, () => ({ answer: 'echo' })],
  [/^(?:words|tokens)-(\d{1,6})$/, (n) => ({ answer: 'words', words: n })],
  [/^tool$/, () => ({ toolCalls: 1 })],
  [/^tools-(\d)$/, (n) => ({ toolCalls: n })],
  [/^scripted$/, () => ({ scripted: true })],
  [/^reasoning$/, () => ({ reasoningTokens: 8 })],
  [/^reasoning-(\d{1,6})$/, (n) => ({ reasoningTokens: n })],
  [/^slow$/, () => ({ tokenMs: 100 })],
  [/^slow-first-byte-(\d{1,7})$/, (n) => ({ firstByteMs: n })],
  [/^delay-(\d{1,7})$/, (n) => ({ tokenMs: n })],
  [/^error-quota$/, () => ({ errorStatus: 429, quota: true })],
  [/^error-([45]\d\d)$/, (n) => ({ errorStatus: n })],
  [/^cut-after-(\d{1,6})$/, (n) => faultAfter('cut', n)],
  [/^drop-after-(\d{1,6})$/, (n) => faultAfter('drop', n)],
  [/^reset-after-(\d{1,6})$/, (n) => faultAfter('reset', n)],
  [/^stall-after-(\d{1,6})$/, (n) => faultAfter('stall', n)],
  [/^error-after-(\d{1,6})$/, (n) => faultAfter('error', n)],
  [/^error-in-200$/, () => ({ oddBody: 'error-in-200' })],
  [/^redirect$/, () => ({ oddBody: 'redirect', oddStatus: 307 })],
  [/^not-json$/, () => ({ oddBody: 'not-json' })],
  [/^html$/, () => ({ oddBody: 'html' })],
  [/^html-([2-5]\d\d)$/, (n) => ({ oddBody: 'html', oddStatus: n })],
  [/^no-usage$/, () => ({ usage: 'none' })],
  [/^usage-zero$/, () => ({ usage: 'zero' })],
  [/^cached$/, () => ({ usage: 'cached' })],
  [/^gzip$/, () => ({ gzip: true })],
  [/^chunked-weird$/, () => ({ weirdChunks: true })],
  [/^comment-ping$/, () => ({ pings: true })],
  [/^crlf$/, () => ({ crlf: true })],
  [/^bad-utf8$/, () => ({ badUtf8: true })],
  [/^huge-line$/, () => ({ hugeBytes: 1 << 20 })],
  [/^huge-line-(\d{1,8})$/, (n) => ({ hugeBytes: n })],
  /** Agents insist on their vendor's names; such a name answers like `sandbox-mini` and follows scripts. */
  [
    /^(?:gpt|chatgpt|claude|o\d|codex|gemini|text-embedding|sandbox-embed|omni|text-moderation|davinci|babbage|whisper|tts|dall-e|rerank|jina)[\w.:@-]*$/,
    () => ({ scripted: true }),
  ],
]

/** Names for `GET /v1/models` and `provider list`; every other documented name is served too. */
export const SANDBOX_MODELS: readonly string[] = [
  'sandbox-mini',
  'sandbox-large',
  'sandbox-embed',
  'echo',
  'words-100',
  'slow',
  'tool',
  'scripted',
  'reasoning',
  'cached',
]

const MAX_REMEMBERED = 1_000
const remembered = new Map<string, Behaviour | null>()

/** What a model does; null: no such model. Parts are joined by `+`: `words-50+delay-10`. */
export function parseBehaviour(model: string): Behaviour | null {
  const known = remembered.get(model)
  if (known !== undefined) return known
  const parsed = parseParts(model.slice(model.lastIndexOf('/') + 1))
  if (remembered.size < MAX_REMEMBERED) remembered.set(model, parsed)
  return parsed
}

function parseParts(name: string): Behaviour | null {
  const changes = name.split('+').map(readPart)
  if (changes.includes(null)) return null
  const behaviour: Behaviour = Object.assign({}, PLAIN, ...changes)
  return behaviour.fault === null || behaviour.answer !== 'mini' ? behaviour : longEnough(behaviour)
}

function readPart(part: string): Partial<Behaviour> | null {
  for (const [pattern, apply] of RULES) {
    const match = pattern.exec(part)
    if (match !== null) return apply(Number(match[1] ?? 0))
  }
  return null
}

/** A fault after N tokens needs an answer that is longer than N. */
function longEnough(behaviour: Behaviour): Behaviour {
  const words = (behaviour.fault?.afterTokens ?? 0) + 10
  return { ...behaviour, answer: 'words', words }
}

function faultAfter(kind: Fault['kind'], afterTokens: number): Partial<Behaviour> {
  return { fault: { kind, afterTokens } }
}
