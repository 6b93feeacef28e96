import type { Protocol } from '../../contracts/protocol.ts'
import { CONVERSE_DIALECT } from './dialect.ts'
import { notServed } from './not-served.ts'

/**
 * Amazon Bedrock's Converse, spoken to providers only.
 *
 * It has no endpoints, so no client can ask in it, and nothing is ever shaped for one: answers take the caller's protocol.
 */
export const BEDROCK_CONVERSE: Protocol = {
  id: 'bedrock-converse',
  endpoints: [],
  dialect: CONVERSE_DIALECT,
  marks: [],
  forwardedHeaders: [],
  renderError: notServed,
  renderStreamError: notServed,
  keepAliveFrame: '',
  limitHeaders: notServed,
  renderModels: notServed,
  renderModel: notServed,
  requestIdHeader: 'x-amzn-requestid',
}
