import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../contracts/usage.ts'
import { usageRecord } from '../../testing/usage-record.ts'
import {
  createPrometheusExporter,
  type PrometheusExporter,
  type PrometheusOptions,
} from './create-prometheus-exporter.ts'

function exporter(options: Partial<PrometheusOptions> = {}): PrometheusExporter {
  return createPrometheusExporter({
    version: '1.2.3',
    ledger: null,
    gauges: { requestsInFlight: () => 3, openReservations: () => 2, keys: () => 7 },
    processMetrics: false,
    ...options,
  })
}

describe('prometheus exporter', () => {
  it('counts a request under its labels, with money in dollars and times in seconds', async () => {
    const { sink, render, contentType } = exporter()
    sink(
      usageRecord({
        costNanoUsd: 270_000,
        savedNanoUsd: 30_000,
        latencyMs: 700,
        ttftMs: 90,
        overheadMs: 0.3,
        usage: { ...NO_USAGE, inputTokens: 100, cacheReadTokens: 5 },
      }),
    )
    sink(usageRecord({ latencyMs: 99_999_999 }))
    const lines = (await render()).split('\n')
    expect(contentType).toContain('text/plain')
    expect(lines).toEqual(
      expect.arrayContaining([
        'tollgate_requests_total{endpoint="chat",protocol="openai-chat",status="200",error_class="none"} 2',
        'tollgate_request_duration_seconds_bucket{endpoint="chat",protocol="openai-chat",le="0.5"} 0',
        'tollgate_request_duration_seconds_bucket{endpoint="chat",protocol="openai-chat",le="1"} 1',
        'tollgate_request_duration_seconds_bucket{endpoint="chat",protocol="openai-chat",le="600"} 1',
        'tollgate_request_duration_seconds_bucket{endpoint="chat",protocol="openai-chat",le="+Inf"} 2',
        'tollgate_request_duration_seconds_count{endpoint="chat",protocol="openai-chat"} 2',
        'tollgate_time_to_first_token_seconds_bucket{model="gpt-4o-mini",provider="openai",le="0.1"} 1',
        'tollgate_time_to_first_token_seconds_count{model="gpt-4o-mini",provider="openai"} 1',
        'tollgate_gateway_overhead_seconds_bucket{endpoint="chat",le="0.00025"} 0',
        'tollgate_gateway_overhead_seconds_bucket{endpoint="chat",le="0.0005"} 1',
        'tollgate_tokens_total{kind="input",model="gpt-4o-mini",provider="openai"} 200',
        'tollgate_tokens_total{kind="cache_read",model="gpt-4o-mini",provider="openai"} 5',
        'tollgate_cost_usd_total{model="gpt-4o-mini",provider="openai"} 0.000297',
        'tollgate_saved_usd_total{model="gpt-4o-mini",provider="openai"} 0.00003',
        'tollgate_attempts_total{target="openai/gpt-4o-mini",error_class="none"} 2',
      ]),
    )
  })

  it('counts what was left out of a choice, and what aliases came to', async () => {
    const { sink, render } = exporter()
    const routing = {
      strategy: 'weighted',
      mode: null,
      alias: 'fast',
      variant: 'gpt-4o-mini',
      reason: 'alias',
      candidates: [
        { target: 'a', rejected: null },
        { target: 'b', rejected: 'circuit_open' },
        { target: 'c', rejected: 'capability' },
      ],
    } as const
    sink(usageRecord({ routing }))
    sink(usageRecord({ routing: { ...routing, alias: null } }))
    const text = await render()
    expect(text).toContain('tollgate_target_rejections_total{target="b",reason="circuit_open"} 2')
    expect(text).toContain('tollgate_target_rejections_total{target="c",reason="capability"} 2')
    expect(text).not.toContain('tollgate_target_rejections_total{target="a"')
    expect(text).toContain('tollgate_alias_requests_total{alias="fast",model="gpt-4o-mini"} 1')
  })

  it('counts refusals by limit, attempts by error and streams that broke', async () => {
    const { sink, render } = exporter()
    sink(
      usageRecord({
        status: 429,
        errorSource: 'gateway',
        errorClass: 'budget_exceeded',
        limits: ['team-day'],
        attempts: [],
        stream: true,
        complete: false,
      }),
    )
    sink(
      usageRecord({
        errorSource: 'provider',
        errorClass: 'upstream_truncated',
        stream: true,
        complete: false,
        attempts: [
          { target: 't1', status: 503, errorClass: 'upstream_overloaded', durationMs: 1 },
          { target: 't2', status: 200, errorClass: 'upstream_truncated', durationMs: 1 },
        ],
      }),
    )
    const text = await render()
    expect(text).toContain(
      'tollgate_limit_refusals_total{limit="team-day",error_class="budget_exceeded"} 1\n',
    )
    expect(text).toContain(
      'tollgate_attempts_total{target="t1",error_class="upstream_overloaded"} 1\n',
    )
    // A refused stream never began.
    expect(text.match(/^tollgate_stream_aborts_total{.*$/gm)).toEqual([
      'tollgate_stream_aborts_total{error_class="upstream_truncated"} 1',
    ])
    expect(text.match(/^tollgate_limit_refusals_total{.*$/gm)).toHaveLength(1)
  })

  it('bounds models and targets, and loses no request', async () => {
    const { sink, render } = exporter({ mostModels: 5 })
    for (let i = 0; i < 7000; i++) {
      sink(
        usageRecord({
          model: `made-up-${i}`,
          attempts: [{ target: `t${i}`, status: 200, errorClass: null, durationMs: 1 }],
        }),
      )
    }
    const text = await render()
    const costs = text.match(/^tollgate_cost_usd_total{.*$/gm) ?? []
    expect(costs).toHaveLength(6)
    expect(text).toContain(
      'tollgate_tokens_total{kind="input",model="other",provider="openai"} 699500\n',
    )
    expect(text).toContain('tollgate_attempts_total{target="other",error_class="none"} 6700\n')
    expect(text.split('\n').length).toBeLessThan(1000)
  })

  it('escapes label values', async () => {
    const { sink, render } = exporter()
    sink(usageRecord({ model: 'a"b\\c\nd} 1\nfake_metric 1' }))
    const text = await render()
    expect(text).toContain('model="a\\"b\\\\c\\nd} 1\\nfake_metric 1"')
    expect(text).not.toMatch(/^fake_metric/m)
  })

  it('reads gauges at the scrape; one that throws is left out', async () => {
    const pending = [usageRecord({ startedAtMs: 1000, latencyMs: 500 })]
    const { render } = exporter({
      ledger: { pending: () => pending, healthy: () => false },
      clock: { wallMs: () => 4000, monotonicMs: () => 0 },
      gauges: {
        requestsInFlight: () => 3,
        openReservations: () => {
          throw new Error('gate is gone')
        },
        keys: () => 7,
      },
    })
    const text = await render()
    expect(text).toContain('tollgate_requests_in_flight 3\n')
    expect(text).toContain('tollgate_ledger_pending_records 1\n')
    expect(text).toContain('tollgate_ledger_lag_seconds 2.5\n')
    expect(text).toContain('tollgate_ledger_healthy 0\n')
    expect(text).not.toContain('tollgate_reservations_open ')
  })

  it('counts reloads and dropped events from zero and says what runs', async () => {
    const { render, countConfigReload, countDroppedEvents } = exporter({ commit: 'abc' })
    countConfigReload('rejected')
    countDroppedEvents(4)
    const text = await render()
    expect(text).toContain('tollgate_config_reloads_total{result="applied"} 0\n')
    expect(text).toContain('tollgate_config_reloads_total{result="rejected"} 1\n')
    expect(text).toContain('tollgate_events_dropped_total 4\n')
    expect(text).toMatch(
      /# TYPE tollgate_build_info gauge\ntollgate_build_info{version="1.2.3",commit="abc"/,
    )
  })

  it('is well formed, with the metrics of the process, and two exporters do not collide', async () => {
    const both = [exporter({ processMetrics: true }), exporter({ processMetrics: true })]
    for (const { sink, render } of both) {
      sink(usageRecord({ ttftMs: 5 }))
      const text = await render()
      expect(text).toContain('process_cpu_user_seconds_total')
      expect(text).toContain('nodejs_eventloop_lag_p99_seconds')
      const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1])
      expect(new Set(names).size).toBe(names.length)
      for (const line of text.split('\n')) {
        expect(line).toMatch(/^(#.*|[a-z_:0-9]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? \S+)?$/i)
      }
    }
  })
})
