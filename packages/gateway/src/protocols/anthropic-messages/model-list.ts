import type { ModelList } from '../../contracts/protocol.ts'
import { readModelList } from '../read-model-list.ts'

const QUERY = '?limit=1000'

/** @see https://platform.claude.com/docs/en/api/models/list (fields as in the official client 1.11, read 2026-11-21) */
export const MODEL_LIST: ModelList = {
  path: '/v1/models',
  query: QUERY,
  read: (body) =>
    readModelList(body, {
      member: 'data',
      id: (model) => model['id'],
      next: ({ has_more: more, last_id: last }) =>
        more === true && typeof last === 'string'
          ? `${QUERY}&after_id=${encodeURIComponent(last)}`
          : null,
    }),
}
