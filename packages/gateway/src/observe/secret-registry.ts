/** Shorter values would black out ordinary words. */
const LEAST_SECRET_CHARACTERS = 8
/** The scan looks up every run of this many characters. */
const RUN = 4
const HASH_SIZE = 1 << 16
export const REDACTED = '[redacted]'
const VIRTUAL_KEY_START = 'tkn_'
const VIRTUAL_KEY = /tkn_[0-9A-Za-z]{8,}/y

export type SecretRegistry = {
  /** From now on the value is redacted in raw, JSON, base64, hex and URL-encoded form. */
  readonly add: (secret: string) => void
  /** The text without any registered value and without anything that looks like a virtual key. */
  readonly redact: (text: string) => string
}

/**
 * Finds secrets by value. The cost does not depend on how many there are: a rolling hash of four characters tells where
 * a form may begin, and only there forms are compared.
 */
export function createSecretRegistry(): SecretRegistry {
  const mayBegin = new Uint8Array(HASH_SIZE)
  const formsByRun = new Map<string, string[]>()
  mayBegin[hashOf(VIRTUAL_KEY_START)] = 1

  function lengthAt(text: string, start: number): number {
    VIRTUAL_KEY.lastIndex = start
    if (VIRTUAL_KEY.test(text)) return VIRTUAL_KEY.lastIndex - start
    let longest = 0
    for (const form of formsByRun.get(text.slice(start, start + RUN)) ?? []) {
      if (form.length > longest && text.startsWith(form, start)) longest = form.length
    }
    return longest
  }

  return {
    add(secret) {
      if (secret.length < LEAST_SECRET_CHARACTERS) return
      for (const form of formsOf(secret)) {
        const run = form.slice(0, RUN)
        const forms = formsByRun.get(run) ?? []
        if (forms.includes(form)) continue
        formsByRun.set(run, [...forms, form])
        mayBegin[hashOf(run)] = 1
      }
    },
    redact(text) {
      let clean = ''
      let copied = 0
      let hash = 0
      for (let i = 0; i < text.length; i++) {
        hash = ((hash << 4) ^ text.charCodeAt(i)) & (HASH_SIZE - 1)
        if (mayBegin[hash] === 0) continue
        const start = i - RUN + 1
        const length = start < copied ? 0 : lengthAt(text, start)
        if (length === 0) continue
        clean += text.slice(copied, start) + REDACTED
        copied = start + length
      }
      return copied === 0 ? text : clean + text.slice(copied)
    },
  }
}

/** Must equal what the scan computes: bits of older characters are shifted out, the high bits of characters overlap. */
function hashOf(run: string): number {
  let hash = 0
  for (let i = 0; i < run.length; i++) {
    hash = ((hash << 4) ^ run.charCodeAt(i)) & (HASH_SIZE - 1)
  }
  return hash
}

function formsOf(secret: string): ReadonlySet<string> {
  const bytes = Buffer.from(secret)
  const hex = bytes.toString('hex')
  const url = encodeURIComponent(secret)
  const forms = [secret, JSON.stringify(secret).slice(1, -1), hex, hex.toUpperCase(), url]
  forms.push(
    url.replaceAll('%20', '+'),
    url.replaceAll(/%../g, (code) => code.toLowerCase()),
  )
  for (const shift of [0, 1, 2]) {
    const base64 = base64Within(bytes, shift)
    forms.push(base64, base64.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return new Set(forms.filter((form) => form.length >= LEAST_SECRET_CHARACTERS))
}

/**
 * The characters that the bytes have in any base64 text in which they begin `shift` bytes after a group of three,
 * whatever stands around them: `user:secret` in Basic authentication.
 */
function base64Within(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replaceAll('=', '')
  const mixedAtStart = shift === 0 ? 0 : shift + 1
  const mixedAtEnd = (bytes.length + shift) % 3 === 0 ? 0 : 1
  return text.slice(mixedAtStart, text.length - mixedAtEnd)
}
