import * as z from 'zod'
import { ENDPOINTS } from '../contracts/endpoint.ts'
import { parseCidr } from '../lib/cidr.ts'
import { scaledInteger } from '../lib/decimal.ts'
import { parseDurationMs, parseSizeBytes, parseWindow } from '../lib/duration.ts'
import { namePatternProblem } from './name-matcher.ts'
import type { NameList, TimeoutsConfig } from './policy-config.ts'
import { checkedText, parsedText, strict } from './validate.ts'

/** Endpoints that this version serves, and those that later ones will: an allow-list may name them already. */
export const KNOWN_ENDPOINTS: readonly string[] = [...ENDPOINTS, 'responses', 'plan', 'stream']

export const endpointList: z.ZodType<readonly string[]> = z
  .array(z.enum(KNOWN_ENDPOINTS))
  .describe('Endpoints that may be used.')

export const durationText: z.ZodType<string> = parsedText(parseDurationMs).describe(
  'A whole number and a unit: 250ms, 5s, 10m, 1h, 7d, 1mo.',
)
export const windowText: z.ZodType<string> = parsedText(parseWindow).describe(
  'A whole number and a unit: 1s, 5m, 24h, 7d, 1w, 1mo, 1y.',
)
export const sizeValue: z.ZodType<string | number> = z
  .union([z.int().min(1), parsedText(parseSizeBytes)])
  .describe('Bytes, or a whole number with kB, MB, KiB, MiB or GiB.')

const namePattern: z.ZodType<string> = checkedText(namePatternProblem)
export const nameList: z.ZodType<NameList> = z
  .union([namePattern, z.array(namePattern)])
  .describe('Exact names, globs (* and ?) or re: (RE2, anchored).')

export const cidrText: z.ZodType<string> = checkedText((text) =>
  parseCidr(text) === null
    ? `"${text}" is no network: write CIDR such as 10.0.0.0/8, with no bits set beyond the prefix`
    : null,
)

/** $9,000,000: above it, nano-US-dollars are no longer exact. */
const MAX_USD = 9_000_000
export const usdAmount: z.ZodType<number> = z
  .number()
  .min(0)
  .max(MAX_USD)
  .superRefine((usd, ctx) => {
    if (scaledInteger(usd, 9) === null) {
      ctx.addIssue({ code: 'custom', message: 'has more than nine decimals' })
    }
  })
  .describe('US dollars.')

/** One that is never "0 means unlimited": leave the field out for that. */
export const positiveInteger: z.ZodType<number> = z.int().min(1)

/** Line breaks and the like would end up in headers and logs. */
export function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return false
  }
  return true
}

export const printableText: z.ZodType<string> = checkedText((text) =>
  text.length <= 1_024 && isPrintable(text)
    ? null
    : 'must have at most 1024 characters and no control characters',
)

export const metadataMap: z.ZodType<Readonly<Record<string, string>>> = z.record(
  checkedText((name) =>
    /^[A-Za-z0-9_.-]{1,64}$/.test(name)
      ? null
      : `"${name}" is no metadata name: letters, digits, ".", "_" and "-", at most 64`,
  ),
  printableText,
)

/** Names of providers, policies and teams. Without a slash, so that `provider/model` is never ambiguous. */
export const entryName: z.ZodType<string, string> = checkedText((name) =>
  /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name)
    ? null
    : `"${name}" is no valid name: letters, digits, ".", "_" and "-", at most 64, first a letter or digit`,
)

export const timeoutsObject: z.ZodType<TimeoutsConfig> = strict({
  connect: z.exactOptional(durationText),
  first_byte: z.exactOptional(durationText),
  idle: z.exactOptional(durationText),
  total: z.exactOptional(durationText),
})

/** A model id as vendors write them; it may hold slashes. */
export const modelName: z.ZodType<string, string> = checkedText((name) =>
  /^[^\s\p{Cc}]{1,256}$/u.test(name) ? null : 'must have 1 to 256 characters and no white space',
)

export const baseUrl: z.ZodType<string, string> = checkedText((text) => {
  // URL parsers drop or turn these around, so that a host could read otherwise than it looks.
  if (/[\s\p{Cc}\\]/u.test(text)) return 'must hold no white space, backslash or control character'
  const filled = text.replace(/\{[a-z_]+\}/g, 'x')
  if (!URL.canParse(filled))
    return `"${text}" is no URL: write http://host:port/path or https://host/path`
  const url = new URL(filled)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return 'must start with http:// or https://'
  if (url.username !== '' || url.password !== '')
    return 'must hold no user or password: use credential'
  if (url.search !== '') return 'must hold no query: use query'
  return url.hash === '' ? null : 'must hold no fragment'
})

/** Anything: the shape of what a later version brings. */
export const looseObject: z.ZodType = z.record(z.string(), z.unknown())
