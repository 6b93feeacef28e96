import type {
  ConfigView,
  DeletedView,
  HealthView,
  KeyExplanation,
  KeyView,
  KeyWithSecret,
  LimitChange,
  LimitExplanation,
  LimitView,
  ModelView,
  PolicyView,
  ProviderModelsView,
  ProviderTestView,
  ProviderView,
  ReloadView,
  UsageRecordView,
  UsageSummary,
} from '../control-plane/admin-api.ts'
import type { ChoiceEvaluation, RewardView } from '../control-plane/reward-api.ts'
import type { AliasView, RouteSimulation } from '../control-plane/routing-api.ts'
import type { LedgerReconciliation, LedgerVerification } from '../control-plane/ledger-api.ts'
import type { PolicyReplay, PolicySimulation } from '../control-plane/what-if-api.ts'
import { isRecord } from '../lib/is-record.ts'

export type Guard<T> = (value: unknown) => value is T

/** The members that tell this answer from others. A server of another version may send more. */
function shaped<T>(...members: readonly (keyof T & string)[]): Guard<T> {
  return (value): value is T =>
    isRecord(value) && members.every((name) => Object.hasOwn(value, name))
}

export const isKey: Guard<KeyView> = shaped<KeyView>('id', 'name', 'state', 'subject', 'policies')
export const isKeyWithSecret: Guard<KeyWithSecret> = shaped<KeyWithSecret>('id', 'key', 'subject')
export const isKeyExplanation: Guard<KeyExplanation> = shaped<KeyExplanation>('layers', 'fields')
export const isPolicy: Guard<PolicyView> = shaped<PolicyView>('name', 'owner', 'policy')
export const isAlias: Guard<AliasView> = shaped<AliasView>('name', 'variants', 'sticky')
export const isRouteSimulation: Guard<RouteSimulation> = shaped<RouteSimulation>('model', 'order')
export const isChoiceEvaluation: Guard<ChoiceEvaluation> = shaped<ChoiceEvaluation>(
  'records',
  'policy',
)
export const isReward: Guard<RewardView> = shaped<RewardView>('request_id', 'target', 'reward')
export const isPolicySimulation: Guard<PolicySimulation> = shaped<PolicySimulation>(
  'admitted',
  'limits',
  'explain',
)
export const isPolicyReplay: Guard<PolicyReplay> = shaped<PolicyReplay>('before', 'after', 'notes')
export const isDeleted: Guard<DeletedView> = shaped<DeletedView>('deleted')
export const isProvider: Guard<ProviderView> = shaped<ProviderView>('name', 'protocols', 'base_url')
export const isProviderTest: Guard<ProviderTestView> = shaped<ProviderTestView>('provider', 'ok')
export const isProviderModels: Guard<ProviderModelsView> = shaped<ProviderModelsView>(
  'provider',
  'ok',
  'items',
)
export const isModel: Guard<ModelView> = shaped<ModelView>('name', 'targets', 'priced')
export const isLimit: Guard<LimitView> = shaped<LimitView>('id', 'scope', 'value', 'used', 'amount')
export const isLimitChange: Guard<LimitChange> = shaped<LimitChange>('id', 'changed', 'items')
export const isLimitExplanation: Guard<LimitExplanation> = shaped<LimitExplanation>(
  'key',
  'passes',
  'limits',
)
export const isUsageRecord: Guard<UsageRecordView> = shaped<UsageRecordView>(
  'id',
  'request_id',
  'usage',
)
export const isLedgerReconciliation: Guard<LedgerReconciliation> = shaped<LedgerReconciliation>(
  'ok',
  'items',
)
export const isLedgerVerification: Guard<LedgerVerification> = shaped<LedgerVerification>(
  'ok',
  'differences',
  'chain',
)
export const isUsageSummary: Guard<UsageSummary> = shaped<UsageSummary>(
  'requests',
  'usage',
  'by_model',
  'by_key',
)
export const isHealth: Guard<HealthView> = shaped<HealthView>('status', 'serving', 'version')
export const isConfig: Guard<ConfigView> = shaped<ConfigView>('file', 'revision', 'config')
export const isReload: Guard<ReloadView> = shaped<ReloadView>('reloaded', 'revision')
