import type { Core } from './compose-core.ts'
import type { RecordIntake, Recorder } from './contracts/recorder.ts'
import type { LedgerWriter } from './contracts/store.ts'
import type { PrometheusExporter } from './exporters/prometheus/create-prometheus-exporter.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import { accessLogSink } from './observe/access-log.ts'
import type { RootLogger } from './observe/log.ts'
import { createRecordIntake } from './observe/record-intake.ts'
import { createRecorder } from './observe/recorder.ts'
import { requestEventSink } from './observe/request-events.ts'
import { createStats, type Stats } from './observe/stats.ts'

/** Where records go: those of this process, and those of its workers. */
export function composeRecorders(
  { events }: Core,
  given: {
    readonly ledger: LedgerWriter | null
    readonly metrics: PrometheusExporter
    readonly log: RootLogger
  },
): { readonly recorder: Recorder; readonly intake: RecordIntake; readonly stats: Stats } {
  const { ledger, metrics, log } = given
  const stats = createStats({ clock: SYSTEM_CLOCK })
  const onSinkError = (thrown: unknown): void => log.error({ err: thrown }, 'a sink failed')
  const counting = [metrics.sink, stats.sink]
  return {
    recorder: createRecorder({
      ledger,
      sinks: [...counting, requestEventSink(events), accessLogSink(log)],
      onSinkError,
    }),
    intake: createRecordIntake({ ledger, events, sinks: counting, onSinkError }),
    stats,
  }
}
