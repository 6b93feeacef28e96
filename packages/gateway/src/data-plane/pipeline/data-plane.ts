import type { DurableCharges } from '../../contracts/durable-charge.ts'
import type { LimitPlan, RequestGate } from '../../contracts/limit.ts'
import type { OpenCalls } from '../../contracts/open-calls.ts'
import type { Protocol } from '../../contracts/protocol.ts'
import type { Recorder } from '../../contracts/recorder.ts'
import type { Bandit, TargetBook } from '../../contracts/routing.ts'
import type { TokenCounter } from '../../contracts/tokenizer.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Readiness } from '../../lib/readiness.ts'
import type { GatewayPlan, KeyPlan } from '../../plan/gateway-plan.ts'
import type { SeenKey } from '../../plan/key-ring.ts'
import type { Feedback } from '../http/feedback.ts'
import type { Rewards } from '../routing/reward.ts'
import type { IdempotentCalls } from '../idempotency/idempotent-calls.ts'
import type { Rotations } from '../routing/rotations.ts'
import type { WarmCaches } from '../routing/warm-caches.ts'
import type { WrongKeys } from '../stages/wrong-keys.ts'
import type { RetryBudgets } from '../routing/retry-budget.ts'
import type { UpstreamPools } from '../upstream/pools.ts'
import type { Watchdog } from '../upstream/watchdog.ts'

/** What requests share: given once by the composition root. */
export type DataPlane = {
  readonly protocols: readonly Protocol[]
  /** The plan of this moment. A request reads it once and keeps it. */
  readonly plan: () => GatewayPlan
  /** Null for an unknown, disabled, expired or revoked key alike. */
  readonly findKey: (secret: string, nowMs: number, seen?: SeenKey) => KeyPlan | null
  readonly wrongKeys: WrongKeys
  readonly gate: RequestGate
  readonly recorder: Recorder
  /** Null: nothing that is reserved outlives this process. */
  readonly openCalls: {
    readonly calls: OpenCalls
    readonly durable: Pick<DurableCharges, 'held' | 'settled'>
  } | null
  /** Asked only where the plan has idempotency. */
  readonly idempotent: Pick<IdempotentCalls, 'serve'>
  readonly tokenCounter: TokenCounter
  /** What targets have shown; null: nothing is noted of them. */
  readonly targets: TargetBook | null
  readonly bandit: Bandit
  readonly rewards: Rewards
  readonly warmCaches: WarmCaches
  /** Null: no answer to this key has the id. */
  readonly takeFeedback: (
    keyId: string | null,
    feedback: Feedback,
  ) => Promise<{ readonly target: string | null; readonly reward: number | null } | null>
  readonly rotations: Rotations
  readonly retries: RetryBudgets
  readonly pools: UpstreamPools
  readonly watchdog: Watchdog
  readonly clock: Clock
  /** Counted by the listener, read by metrics and shutdown. */
  readonly load: { inFlight: number }
  readonly onError: (error: unknown, requestId: string) => void
  readonly onRefusal: (refusal: RefusalNotice) => void
  /** A provider answered whole and did not say what it came to, or said what cannot be. */
  readonly onNoUsage: (notice: UsageNotice) => void
  /** Liveness parts of `/health/ready`; each says what is wrong, or null. */
  readonly readiness: () => Readiness
}

export type RefusalNotice = {
  readonly requestId: string
  readonly keyId: string
  readonly limitId: string
  readonly budget: boolean
  /** Of the limit. Only `enforce` refused. */
  readonly mode: LimitPlan['mode']
}

export type UsageNotice = {
  readonly provider: string | null
  readonly model: string | null
  readonly target: string
}
