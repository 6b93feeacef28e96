/** Tells the model in words to answer with any JSON, where a protocol has no member for it. */
export const JSON_INSTRUCTION =
  'Answer with one valid JSON value and nothing else: no prose, no code fence.'
