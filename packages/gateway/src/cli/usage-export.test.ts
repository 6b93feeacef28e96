import { describe, expect, it } from 'vitest'
import { readUsageExport } from './usage-export.ts'

const JAN_1 = Date.UTC(2030, 0, 1) / 1000

describe('readUsageExport', () => {
  it("reads OpenAI's usage API, pages in a list too, with cached input taken out", () => {
    const result = {
      object: 'organization.usage.completions.result',
      input_tokens: 1000,
      output_tokens: 50,
      input_cached_tokens: 400,
      num_model_requests: 3,
      project_id: 'proj_a',
      api_key_id: null,
      model: 'gpt-4o-mini-2024-07-18',
    }
    const bucket = {
      object: 'bucket',
      start_time: JAN_1,
      end_time: JAN_1 + 86_400,
      results: [result],
    }
    const page = { object: 'page', data: [bucket], has_more: false, next_page: null }
    const group = {
      day: '2030-01-01',
      model: 'gpt-4o-mini-2024-07-18',
      project: 'proj_a',
      requests: 3,
      input: 600,
      cache_read: 400,
      cache_write: 0,
      output: 50,
    }
    expect(readUsageExport(JSON.stringify(page))).toEqual([group])
    expect(readUsageExport(JSON.stringify([page, page]))).toEqual([
      { ...group, requests: 6, input: 1200, cache_read: 800, output: 100 },
    ])
  })

  it("reads OpenAI's CSV, quoted fields and a byte order mark too", () => {
    const csv = `\uFEFFstart_time,end_time,num_model_requests,project_id,model,input_tokens,output_tokens,input_cached_tokens,note\r\n${JAN_1},${JAN_1 + 86_400},2,,"gpt-4o",30,4,10,"a, ""b""\r\nc"\r\n`
    expect(readUsageExport(csv)).toMatchObject([
      {
        day: '2030-01-01',
        model: 'gpt-4o',
        project: null,
        requests: 2,
        input: 20,
        cache_read: 10,
        output: 4,
      },
    ])
  })

  it("reads Anthropic's usage report", () => {
    const result = {
      uncached_input_tokens: 1500,
      cache_creation: { ephemeral_1h_input_tokens: 1000, ephemeral_5m_input_tokens: 500 },
      cache_read_input_tokens: 200,
      output_tokens: 500,
      workspace_id: null,
      model: 'claude-sonnet-4-20250514',
    }
    const data = [
      { starting_at: '2030-01-01T00:00:00Z', ending_at: '2030-01-02T00:00:00Z', results: [result] },
    ]
    expect(readUsageExport(JSON.stringify({ data, has_more: false }))).toEqual([
      {
        day: '2030-01-01',
        model: 'claude-sonnet-4-20250514',
        project: null,
        requests: null,
        input: 1500,
        cache_read: 200,
        cache_write: 1500,
        output: 500,
      },
    ])
  })

  it.each([
    '',
    'hello',
    '{',
    '[]x',
    '{"data":[{"results":[{"model":1}]}]}',
    '{"data":3}',
    'a,b\n1,2\n',
    'null',
  ])('says that it is none: %s', (text) => {
    expect(readUsageExport(text)).toBeNull()
  })
})
