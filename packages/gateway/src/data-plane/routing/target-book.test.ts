import { describe, expect, it } from 'vitest'
import type { AttemptOutcome, AttemptTicket } from '../../contracts/routing.ts'
import type { BreakerPlan, GatewayPlan } from '../../plan/gateway-plan.ts'
import { testPlan } from '../../plan/testing/plan-fixtures.ts'
import { MemoryTargetBook, type TargetChange } from './target-book.ts'

const BREAKER: BreakerPlan = {
  failures: 5,
  failureShare: 0.5,
  minRequests: 20,
  windowMs: 60_000,
  openMs: 5000,
  maxOpenMs: 10_000,
  whenAllOpen: 'try',
}
const OK: AttemptOutcome = { failure: null, latencyMs: 100, setAsideMs: null }
const T = 'a/m'

function start(): {
  readonly book: MemoryTargetBook
  readonly changes: TargetChange[]
  readonly run: (outcome: AttemptOutcome['failure'], nowMs: number, setAsideMs?: number) => void
  readonly must: (nowMs: number) => AttemptTicket
} {
  const changes: TargetChange[] = []
  const book = new MemoryTargetBook({
    breaker: () => BREAKER,
    onChange: (change) => changes.push(change),
  })
  const must = (nowMs: number): AttemptTicket => {
    const ticket = book.begin(T, nowMs)
    if (ticket === null) throw new Error(`blocked at ${nowMs}`)
    return ticket
  }
  return {
    book,
    changes,
    must,
    run(failure, nowMs, setAsideMs) {
      const outcome = { failure, latencyMs: null, setAsideMs: setAsideMs ?? null }
      book.end(must(nowMs), outcome, nowMs)
    },
  }
}

const circuits = (changes: readonly TargetChange[]): readonly string[] =>
  changes.flatMap((change) => (change.kind === 'circuit' ? [change.to] : []))
const states = (changes: readonly TargetChange[]): readonly string[] =>
  changes.flatMap((change) => (change.kind === 'state' ? [change.to] : []))

describe('circuit', () => {
  it('opens after so many failures in a row, lets one call try, and closes', () => {
    const { book, changes, run, must } = start()
    for (let i = 0; i < 5; i++) run('transient', i)
    expect(book.begin(T, 5000)).toBeNull()
    expect(book.blocked(T, 4)).toEqual({ reason: 'circuit_open', failure: null, untilMs: 5004 })
    const trial = must(5004)
    expect(trial.probe).toBe(true)
    for (let i = 0; i < 10; i++) expect(book.begin(T, 5005 + i)).toBeNull()
    book.end(trial, OK, 5200)
    expect(must(5201).probe).toBe(false)
    expect(circuits(changes)).toEqual(['open', 'half_open', 'closed'])
    expect(states(changes)).toEqual(['degraded', 'down', 'healthy'])
  })

  it('stays open longer after each trial that fails, up to the longest', () => {
    const { book, run } = start()
    for (let i = 0; i < 5; i++) run('timeout', 0)
    run('transient', 5000)
    expect(book.begin(T, 14_999)).toBeNull()
    run('transient', 15_000)
    expect(book.begin(T, 24_999)).toBeNull()
    run(null, 25_000)
    for (let i = 0; i < 5; i++) run('transient', 25_001)
    expect(book.blocked(T, 25_001)?.untilMs).toBe(30_001)
  })

  it('ignores results of calls from before it opened', () => {
    const { book, run, must } = start()
    const late = [must(0), must(0)] as const
    for (let i = 0; i < 5; i++) run('overloaded', 1)
    book.end(late[0], OK, 2)
    expect(book.signals(T, 2)).toMatchObject({ circuit: 'open', consecutiveFailures: 5 })
    const trial = must(5001)
    book.end(late[1], OK, 5002)
    expect(book.begin(T, 5003)).toBeNull()
    book.end(trial, { failure: 'transient', latencyMs: null, setAsideMs: null }, 5004)
    expect(book.signals(T, 5004).circuit).toBe('open')
  })

  it('gives the trial to another when its call ended without a word on the target', () => {
    const { book, run, must } = start()
    for (let i = 0; i < 5; i++) run('transient', 0)
    run('cancelled', 5000)
    run('client', 5000)
    expect(book.signals(T, 5000).circuit).toBe('half_open')
    const trial = must(5000)
    book.answered(trial, 30, 5030)
    expect(book.signals(T, 5030).circuit).toBe('closed')
    book.end(trial, { failure: 'transient', latencyMs: null, setAsideMs: null }, 6000)
    expect(book.signals(T, 6000).consecutiveFailures).toBe(1)
  })

  it('opens for a target that fails too often, though never five times in a row', () => {
    const { book, run } = start()
    for (let i = 0; i < 30 && book.blocked(T, i) === null; i++) {
      run(i % 2 === 0 ? 'transient' : null, i)
    }
    expect(book.signals(T, 30).circuit).toBe('open')
  })

  it('never counts what is not the target’s fault', () => {
    const { book, changes, run } = start()
    for (let i = 0; i < 100; i++) {
      run('client', i)
      run('cancelled', i)
      run('content_filter', i)
      run('context_overflow', i)
    }
    expect(book.signals(T, 100)).toMatchObject({
      state: 'healthy',
      failureShare: 0,
      consecutiveFailures: 0,
      inFlight: 0,
    })
    expect(changes).toEqual([])
  })

  it('lets calls go that have nowhere else to go, and closes when one of them is answered', () => {
    const { book, run } = start()
    for (let i = 0; i < 5; i++) run('transient', 0)
    const calls = [1, 2, 3].map((nowMs) => book.beginAnyway(T, nowMs))
    expect(book.begin(T, 4)).toBeNull()
    const [first, second, third] = calls
    if (!first || !second || !third) throw new Error('refused')
    expect(book.signals(T, 4).circuit).toBe('open')
    book.end(first, { failure: 'timeout', latencyMs: null, setAsideMs: null }, 5)
    expect(book.signals(T, 5).circuit).toBe('open')
    book.end(second, OK, 6)
    book.end(third, { failure: 'timeout', latencyMs: null, setAsideMs: null }, 7)
    expect(book.signals(T, 7)).toMatchObject({ circuit: 'closed', consecutiveFailures: 0 })
  })

  it('is one per target', () => {
    const { book, run } = start()
    for (let i = 0; i < 5; i++) run('transient', 0)
    expect(book.begin('a/other', 1)).not.toBeNull()
  })
})

describe('set aside', () => {
  it('holds to the millisecond, and opens no circuit', () => {
    const { book, changes, run } = start()
    for (let i = 0; i < 9; i++) run('rate_limited', i * 2000, 2000)
    expect(book.begin(T, 17_999)).toBeNull()
    expect(book.signals(T, 17_999)).toMatchObject({ setAsideUntilMs: 18_000, circuit: 'closed' })
    expect(book.begin(T, 18_000)).not.toBeNull()
    expect(changes.map(({ kind }) => kind)).toEqual(Array.from({ length: 9 }, () => 'set_aside'))
  })

  it('is told apart by its reason, and ends with a reset', () => {
    const { book, run } = start()
    run('quota', 0, 600_000)
    expect(book.blocked(T, 1)).toEqual({ reason: 'cooldown', failure: 'quota', untilMs: 600_000 })
    expect(book.reset(T, 2)).toEqual([T])
    expect(book.blocked(T, 2)).toBeNull()
    expect(book.reset('a/unknown', 2)).toEqual([])
  })
})

describe('failure share and latency', () => {
  it('fade with time', () => {
    const { book, run } = start()
    run('transient', 0)
    expect(book.signals(T, 0).failureShare).toBe(1)
    expect(book.signals(T, 60_000).failureShare).toBeCloseTo(Math.exp(-1))
    run(null, 60_000)
    expect(book.signals(T, 60_000).failureShare).toBeLessThan(0.3)
  })

  it('takes a peak at once, and forgets it slowly', () => {
    const { book, must } = start()
    const seen = (latencyMs: number, nowMs: number): number | null => {
      book.end(must(nowMs), { failure: null, latencyMs, setAsideMs: null }, nowMs)
      return book.signals(T, nowMs).latencyMs
    }
    expect(seen(100, 0)).toBe(100)
    expect(seen(900, 1000)).toBe(900)
    const after = seen(100, 6000) ?? 0
    expect(after).toBeGreaterThan(400)
    expect(after).toBeLessThan(900)
    expect(book.slowLatencyMs(T)).toBeNull()
    for (let i = 0; i < 40; i++) seen(i % 10 === 0 ? 5000 : 100, 7000)
    expect(book.slowLatencyMs(T)).toBe(5000)
  })
})

describe('what a vendor says is left', () => {
  it('is never exceeded before its count starts anew', () => {
    const { book, must } = start()
    const first = must(0)
    book.noteRates(first, { remainingRequests: 2, resetMs: 1000 }, 10)
    book.end(first, OK, 10)
    const others = [must(20), must(20)]
    expect(book.begin(T, 30)).toBeNull()
    expect(book.blocked(T, 30)).toEqual({
      reason: 'cooldown',
      failure: 'rate_limited',
      untilMs: 1010,
    })
    for (const ticket of others) book.end(ticket, OK, 40)
    expect(book.begin(T, 1009)).toBeNull()
    expect(book.begin(T, 1010)).not.toBeNull()
  })

  it('counts calls that the vendor had not seen when it said so, and believes the latest call', () => {
    const { book, must } = start()
    const [first, second, third] = [must(0), must(0), must(0)]
    book.noteRates(second, { remainingRequests: 3, resetMs: 9000 }, 10)
    book.noteRates(first, { remainingRequests: 50, resetMs: 9000 }, 11)
    for (let i = 0; i < 2; i++) must(12)
    expect(book.begin(T, 13)).toBeNull()
    book.noteRates(third, { remainingRequests: 4, resetMs: 9000 }, 14)
    for (let i = 0; i < 2; i++) must(15)
    expect(book.begin(T, 16)).toBeNull()
  })
})

describe('active probes', () => {
  it('let the trial go at once when they have seen the provider come back, and close nothing', () => {
    const { book, run, changes } = start()
    book.usePlan(plan('http://one.test'), 0)
    for (let i = 0; i < 5; i++) run('transient', 0)
    book.noteProbe('a', true, 100)
    expect(book.begin(T, 101)).toBeNull()
    book.noteProbe('a', false, 200)
    book.noteProbe('a', true, 300)
    expect(book.signals(T, 300)).toMatchObject({ circuit: 'half_open', state: 'degraded' })
    expect(book.troubledProviders(300)).toEqual(new Set(['a']))
    run('transient', 301)
    book.noteProbe('a', true, 400)
    expect(book.begin(T, 401)).toBeNull()
    expect(circuits(changes)).not.toContain('closed')
  })
})

function plan(baseUrl: string): GatewayPlan {
  const provider = { protocol: 'openai-chat', base_url: baseUrl, credential: 'env:LOCAL_KEY' }
  return testPlan(
    { providers: { a: provider, b: { ...provider, base_url: 'http://b.test' } } },
    {
      env: { LOCAL_KEY: 'one' },
    },
  )
}

describe('a new plan', () => {
  it('keeps what is known, but of a provider at another address', () => {
    const { book, run } = start()
    book.usePlan(plan('http://one.test'), 0)
    for (let i = 0; i < 5; i++) run('transient', 0)
    book.usePlan(plan('http://one.test'), 1)
    expect(book.signals(T, 1).circuit).toBe('open')
    const late = book.begin('b/m', 1)
    book.usePlan(plan('http://two.test'), 2)
    expect(book.signals(T, 2)).toMatchObject({ circuit: 'closed', consecutiveFailures: 0 })
    expect(book.signals('b/m', 2).inFlight).toBe(1)
    expect(late).not.toBeNull()
  })
})

describe('memory', () => {
  it('is bounded, and what is in trouble is kept longest', () => {
    const { book, run } = start()
    for (let i = 0; i < 5; i++) run('transient', 0)
    for (let i = 0; i < 20_000; i++) {
      const ticket = book.begin(`a/made-up-${i}`, 1)
      if (ticket !== null) book.end(ticket, OK, 1)
    }
    expect(book.list(1).length).toBeLessThanOrEqual(5000)
    expect(book.signals(T, 1).circuit).toBe('open')
  })
})
