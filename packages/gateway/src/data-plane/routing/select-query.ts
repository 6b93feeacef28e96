import type {
  ArmContext,
  Bandit,
  ModeWeights,
  Needs,
  RoutingHints,
  Strategy,
  TargetBook,
} from '../../contracts/routing.ts'
import type { TokenizerId } from '../../contracts/tokenizer.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import type { Rotations } from './rotations.ts'
import type { WarmCache } from './warm-caches.ts'

/** What the selector asks of the request about one target. */
export type TargetChecks = {
  /** The policy lets this caller use it. */
  permits(target: TargetPlan): boolean
  /** It speaks the client's protocol, or can be translated to. */
  reaches(target: TargetPlan): boolean
  /** Its own limits and its provider's are not full. */
  hasRoom(target: TargetPlan): boolean
}

/** Sizes in tokens. */
export type RequestSize = {
  /** The likeliest count of the input, by the tokenizer; null: not counted. */
  readonly counted: Readonly<Partial<Record<TokenizerId, number>>> | null
  /** Above the truth for every tokenizer; null: it holds media, and nobody looked. */
  readonly boundTokens: number | null
  /** From the size in bytes alone. */
  readonly roughTokens: number
  /** The cap on one answer that will be sent; null: none. */
  readonly outputCap: number | null
  readonly choices: number
}

/** One selection: everything that the choice depends on besides the targets. */
export type SelectQuery = {
  /** Of every draw. The same seed, targets and signals choose the same. */
  readonly seed: number
  /** Of the bandit's draws. */
  readonly seedText: string
  /** Monotonic. */
  readonly nowMs: number
  /** Ms since 1970: what the bandit learned outlives the process. */
  readonly wallMs: number
  readonly strategy: Strategy
  readonly mode: string | null
  /** Of `score`. */
  readonly weights: ModeWeights
  readonly hints: RoutingHints
  readonly needs: Needs
  readonly size: RequestSize
  readonly mustBePriced: boolean
  readonly arm: ArmContext
  /** Where the beginning of the conversation is in a prompt cache; null: nowhere that is known. */
  readonly warm: WarmCache | null
  readonly checks: TargetChecks
  readonly book: TargetBook | null
  readonly bandit: Bandit
  readonly rotations: Rotations
}
