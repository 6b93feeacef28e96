import type { AnswerOrigin } from '../../contracts/answer-store.ts'
import type { DurableCharge } from '../../contracts/durable-charge.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import type { Demand, Reservation } from '../../contracts/limit.ts'
import type {
  InputParts,
  OpenedRequest,
  Protocol,
  ProtocolEndpoint,
  RequestWrapper,
} from '../../contracts/protocol.ts'
import type { AttemptTicket, Needs, RouteDecision, RoutingHints } from '../../contracts/routing.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import type { AttemptRecord } from '../../contracts/usage-record.ts'
import type { GatewayError } from '../../errors/gateway-error.ts'
import type { GatewayPlan, KeyPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import type { SeenKey } from '../../plan/key-ring.ts'
import type { RequestHead } from '../http/request-head.ts'
import type { StreamRelay } from '../stream/relay-stream.ts'
import type { Translation } from '../translation/translation.ts'
import type { UpstreamCall } from '../upstream/upstream-call.ts'
import type { DataPlane } from './data-plane.ts'
import type { SpentBefore } from './spent-attempts.ts'

const EMPTY = Buffer.alloc(0)
const NO_CHARGES: readonly DurableCharge[] = []
const NO_NAMES: readonly string[] = []

/** What a caller agreed to for one model: the key's own policy, or that of the provider entry that matches. */
export type Terms = Pick<
  KeyPlan,
  'policy' | 'charges' | 'lateLimits' | 'hasTokenLimit' | 'hasUsdLimit'
>

/**
 * How the answer ended. `refused`: before anything was generated; `cut`: after it began; `replayed`: whole, and made for
 * another call.
 */
export type Outcome = 'open' | 'whole' | 'refused' | 'cut' | 'replayed'

/** After what a target stands in. */
export type SpareFor = 'content_filter' | 'context_overflow'

/** Several callers of one answer, which goes on as long as any of them is there. */
export type Audience = {
  left(ctx: RequestContext): void
  isEmpty(): boolean
}

/** What the choice of a target needs of what requests share: all that a simulation has. */
export type RouteScope = Pick<
  DataPlane,
  | 'protocols'
  | 'plan'
  | 'gate'
  | 'tokenCounter'
  | 'targets'
  | 'bandit'
  | 'warmCaches'
  | 'rotations'
  | 'clock'
>

/** What admission needs besides. */
export type AdmitScope = RouteScope & Pick<DataPlane, 'recorder' | 'onRefusal'>

export type RequestBirth<Scope> = {
  readonly dataPlane: Scope
  readonly plan: GatewayPlan
  readonly head: RequestHead
  readonly protocol: Protocol
  readonly endpoint: ProtocolEndpoint
  readonly pathModel: string | undefined
  readonly wrapper: RequestWrapper | null
  readonly requestId: string
  readonly receivedAtMs: number
  readonly startedAtMs: number
  readonly clientIp: string
  readonly seenKey: SeenKey
}

/** One request, from its head to its record. Every field is set at birth; stages assign, nothing is added or deleted. */
export class RequestContext<Scope extends RouteScope = DataPlane> {
  readonly dataPlane: Scope
  readonly plan: GatewayPlan
  readonly head: RequestHead
  readonly protocol: Protocol
  readonly endpoint: ProtocolEndpoint
  /** The model of a path that names it. */
  readonly pathModel: string | undefined
  /** What the request came inside of; null: nothing. */
  readonly wrapper: RequestWrapper | null
  readonly requestId: string
  /** Monotonic. */
  readonly receivedAtMs: number
  /** Wall clock. */
  readonly startedAtMs: number
  readonly clientIp: string
  /** The key that this connection presented last, with its hashes. */
  readonly seenKey: SeenKey

  key: KeyPlan | null = null
  body: Buffer = EMPTY
  /** Boundary of a body that is a form; null: it is none. */
  boundary: string | null = null
  opened: OpenedRequest | null = null
  envelope: Envelope | null = null
  input: InputParts | null = null
  /** An upper bound of the input tokens, or exact; null until somebody needs it. */
  inputTokens: number | null = null
  /** Of a simulation without a body: the input that is said. */
  statedInputTokens: number | null = null
  /** False: a simulation, which is refused at once where a request waits a moment for what others hold. */
  waitsForRoom = true
  /** Most tokens that one answer may have; null: no cap is put on the request. */
  outputCap: number | null = null
  /** What the client asks of the choice of a target; null: nothing. */
  hints: RoutingHints | null = null
  /** Keys of directives that could not be followed. */
  ignoredDirectives: readonly string[] = NO_NAMES
  /** What the request needs of a target; null until somebody asks. */
  needs: Needs | null = null
  /** What the name came to that was asked for; null: it is the model's own. */
  variant: string | null = null
  /** Why the targets are these, in this order. */
  decision: RouteDecision | null = null
  targets: readonly TargetPlan[] = []
  /** Those of them that stand in only after a certain failure; null: none. */
  spares: ReadonlyMap<TargetPlan, SpareFor> | null = null
  /** No target can count the input, so the gateway answers with its own count. */
  countsHere = false
  terms: Terms | null = null
  /** The worst case that was reserved; null when nothing is limited. */
  demand: Demand | null = null
  reservation: Reservation | null = null
  /** Charged to the provider and the target of the attempt at hand. */
  attemptReservation: Reservation | null = null
  /** What the request holds of durable counters is written down, with this of its target; null: it is not. */
  noted: { readonly attempt: Reservation | null } | null = null
  /** What it came to at durable counters. */
  charges: readonly DurableCharge[] = NO_CHARGES

  target: TargetPlan | null = null
  /** What the endpoint's own words could not say of a body in another shape. */
  adoptedLosses: readonly string[] = []
  /** The attempt at hand goes to a target of another protocol; null: bytes pass as they are. */
  translation: Translation | null = null
  /** The attempt at hand, as the book of targets knows it. */
  ticket: AttemptTicket | null = null
  /** The call at hand, so that a client that leaves takes it along. */
  call: UpstreamCall | null = null
  relay: StreamRelay | null = null
  /** Who else gets this answer; null: only this client can. */
  audience: Audience | null = null
  /** The call that the answer was made for; null: this one. */
  replayOf: AnswerOrigin | null = null
  readonly attempts: AttemptRecord[] = []
  attemptCount = 0
  /** What each attempt was worth to the bandit; null: it did not choose. */
  rewards: readonly (number | null)[] | null = null
  attemptStartedMs = 0
  upstreamRequestId: string | null = null
  servedModel: string | null = null
  /** Time spent waiting for upstreams: until the first byte of a stream, or the last of a whole answer. */
  upstreamMs = 0
  firstByteAtMs: number | null = null
  /** The gateway's own share of the time, fixed when a stream begins. */
  overheadMs: number | null = null
  /** Ids of the limits that this request charges. */
  limitIds: readonly string[] = []

  status = 0
  outcome: Outcome = 'open'
  error: GatewayError | null = null
  /** Class of an upstream's refusal that was passed on as it came. */
  upstreamErrorClass: string | null = null
  usage: Usage = NO_USAGE
  estimated = false
  costNanoUsd: number | null = null
  /** Attempts that run at the same time; null: one alone. */
  arms: readonly RequestContext[] | null = null
  /** Of such an attempt: ends the others, before it writes its first byte. */
  claim: (() => void) | null = null
  /** Held for a second attempt at the same time. */
  hedgeReservation: Reservation | null = null
  /** What attempts before the last one came to; null: nothing. */
  spentBefore: SpentBefore | null = null
  clientGone = false
  settled = false
  /** Output seen on a stream, for counting when usage never came. */
  seenOutput: { readonly frames: number; readonly text: string } | null = null

  constructor(birth: RequestBirth<Scope>) {
    this.dataPlane = birth.dataPlane
    this.plan = birth.plan
    this.head = birth.head
    this.protocol = birth.protocol
    this.endpoint = birth.endpoint
    this.pathModel = birth.pathModel
    this.wrapper = birth.wrapper
    this.requestId = birth.requestId
    this.receivedAtMs = birth.receivedAtMs
    this.startedAtMs = birth.startedAtMs
    this.clientIp = birth.clientIp
    this.seenKey = birth.seenKey
  }
}

/** As far as the choice of a target goes. */
export type RouteContext = RequestContext<RouteScope>

/** As far as admission goes. */
export type AdmitContext = RequestContext<AdmitScope>

/** The public model that a target serves here: a fallback's, an alias's variant, or what was asked for. */
export function publicModel(ctx: RouteContext, target: TargetPlan | null): string {
  const own = target === null ? null : (target.fallback ?? target.servesAs)
  return own ?? ctx.variant ?? known(ctx.envelope, 'envelope').model
}

/** What later stages rely on; a stage that runs before its need is our bug. */
export function known<T>(value: T | null, what: string): T {
  if (value === null) throw new TypeError(`${what} is read before it is set`)
  return value
}

/** To the microsecond: more digits are noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
