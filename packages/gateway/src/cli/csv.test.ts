import { expect, it } from 'vitest'
import type { UsageRecordView } from '../control-plane/admin-api.ts'
import { csvHeader, csvLine } from './csv.ts'

const RECORD: UsageRecordView = {
  id: 'u1',
  request_id: 'req_1',
  upstream_request_id: null,
  started_at: '2030-01-01T00:00:00.000Z',
  key_id: 'key_1',
  key_name: 'ci',
  team: null,
  rolegroup: null,
  role: null,
  user: null,
  endpoint: 'chat',
  protocol: 'openai-chat',
  requested_model: 'm',
  model: 'm',
  served_model: null,
  provider: 'p',
  target: 'p/m',
  attempts: [],
  status: 200,
  error_source: null,
  error_class: null,
  stream: true,
  complete: true,
  usage: {
    input: 1,
    output: 2,
    cache_read: 3,
    cache_write_5m: 4,
    cache_write_1h: 5,
    reasoning: 6,
    audio_input: 0,
    audio_output: 0,
    server_tool_calls: 0,
  },
  estimated: false,
  cost_nanousd: null,
  saved_nanousd: 0,
  latency_ms: 1.5,
  ttft_ms: null,
  overhead_ms: 0.1,
  cache: null,
  limits: [],
  asked: null,
  project: null,
  user_agent: null,
  session_id: null,
  client_ip: null,
  metadata: {},
  translation: null,
  routing: null,
}

it('writes the columns of the header, empty where there is nothing', () => {
  const columns = csvHeader().trimEnd().split(',')
  const cells = csvLine(RECORD).trimEnd().split(',')
  expect(cells).toHaveLength(columns.length)
  expect(Object.fromEntries(columns.map((name, i) => [name, cells[i]]))).toMatchObject({
    id: 'u1',
    team: '',
    status: '200',
    stream: 'true',
    estimated: 'false',
    cache_write_1h: '5',
    cost_nanousd: '',
    saved_nanousd: '0',
    latency_ms: '1.5',
  })
})

it.each([
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ['a\nb', '"a\nb"'],
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@x', "'@x"],
  ['\t=1', "'\t=1"],
  ['=a,"b"', `"'=a,""b"""`],
])('writes the name %j as %s', (name, cell) => {
  const line = csvLine({ ...RECORD, key_name: name })
  expect(line).toContain(`,key_1,${cell},`)
})
