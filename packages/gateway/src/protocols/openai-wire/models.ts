import type { ModelList, ModelListing } from '../../contracts/protocol.ts'
import { readModelList } from '../read-model-list.ts'

/** Headers that OpenAI's clients send and its providers understand. */
export const FORWARDED_HEADERS: readonly string[] = [
  'openai-*',
  'x-stainless-*',
  'x-session-id',
  'x-conversation-id',
  'http-referer',
  'x-title',
]

/** An organisation or a project of the client's choice would be billed on the operator's credential. */
export const WITHHELD_HEADERS: readonly string[] = ['openai-organization', 'openai-project']

/** One page. Together answers with the bare list. */
export const MODEL_LIST: ModelList = {
  path: '/v1/models',
  query: '',
  read: (body) =>
    readModelList(body, { member: 'data', id: (model) => model['id'], next: () => null }),
}

export function renderModels(models: readonly ModelListing[]): string {
  return JSON.stringify({ object: 'list', data: models.map(toModel) })
}

export function renderModel(model: ModelListing): string {
  return JSON.stringify(toModel(model))
}

function toModel(model: ModelListing): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: Math.floor(model.createdAtMs / 1000),
    owned_by: model.ownedBy,
  }
}
