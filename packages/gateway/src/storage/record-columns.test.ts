import { expect, it } from 'vitest'
import { factsOf } from '../contracts/record-facts.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { columnsOfFacts, RECORD_COLUMNS } from './record-columns.ts'

it.each([
  usageRecord({ latencyMs: 12.7, costNanoUsd: 0 }),
  usageRecord({ keyId: null, model: null, provider: null, errorClass: 'x', costNanoUsd: null }),
  usageRecord({ latencyMs: NaN, savedNanoUsd: Infinity, status: NaN }),
  usageRecord({ team: '42', user: '', project: 'tab\tand "quote"', status: 499 }),
])('columns are the same from the facts as from the record %#', (record) => {
  const read = Object.values(RECORD_COLUMNS).map((column) => column({ ...record }, record.usage))
  expect(columnsOfFacts(JSON.stringify(factsOf(record)))).toEqual(read)
})
