import type { ModelList } from '../../contracts/protocol.ts'
import { readModelList } from '../read-model-list.ts'

const QUERY = '?pageSize=1000'
const PREFIX = 'models/'

/** @see https://ai.google.dev/api/models (fields as in the official client 3.1, read 2026-11-21) */
export const MODEL_LIST: ModelList = {
  path: '/v1beta/models',
  query: QUERY,
  read: (body) =>
    readModelList(body, {
      member: 'models',
      id: ({ name }) =>
        typeof name === 'string' && name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name,
      next: ({ nextPageToken: token }) =>
        typeof token === 'string' && token !== ''
          ? `${QUERY}&pageToken=${encodeURIComponent(token)}`
          : null,
    }),
}
