import { textOrNull } from '../read-answer.ts'
import type { Members } from './members.ts'

/** Code that the provider's own tool ran, as text that any model can read. */
export function codeText(code: Members): string {
  const language = (textOrNull(code['language']) ?? '').toLowerCase()
  const name = /^[a-z]+$/.test(language) && language !== 'language_unspecified' ? language : ''
  return `\n\`\`\`${name}\n${textOrNull(code['code']) ?? ''}\n\`\`\`\n`
}

export function resultText(result: Members): string {
  return `\n\`\`\`output\n${textOrNull(result['output']) ?? ''}\n\`\`\`\n`
}
