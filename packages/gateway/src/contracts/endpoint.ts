/** What a client may ask for. Each name is also a key scope (`scopes` of a virtual key). */
export const ENDPOINTS = [
  'chat',
  'responses',
  'messages',
  'gemini',
  'count_tokens',
  'embeddings',
  'completions',
  'moderations',
  'images',
  'audio',
  'rerank',
  'models',
] as const

export type Endpoint = (typeof ENDPOINTS)[number]
