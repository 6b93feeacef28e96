import { RE2JS } from 're2js'

/** A test over names of models, providers or endpoints. */
export type NameTest = (name: string) => boolean

const REGEX_PREFIX = 're:'
const MAX_PATTERN_LENGTH = 1_000

/** Null when the pattern can be compiled; else what is wrong with it. */
export function namePatternProblem(pattern: string): string | null {
  if (pattern === '' || pattern.length > MAX_PATTERN_LENGTH) {
    return `a pattern has 1 to ${MAX_PATTERN_LENGTH} characters`
  }
  if (!pattern.startsWith(REGEX_PREFIX)) return null
  try {
    compileRegex(pattern)
    return null
  } catch (cause) {
    return `not a valid RE2 expression: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/**
 * One test for a list of patterns: exact, glob (`*` any text, `?` one character) or `re:` (RE2, anchored at both ends).
 *
 * Case is ignored, because vendors ignore it: another spelling must not get around a rule. No pattern makes a name from a
 * client cost more than (its length × the pattern's). Throws `Error` for an invalid expression.
 */
export function compileNames(patterns: readonly string[]): NameTest {
  const exact = new Set<string>()
  const tests: NameTest[] = []
  for (const pattern of patterns) {
    if (pattern.startsWith(REGEX_PREFIX)) {
      const regex = compileRegex(pattern)
      tests.push((name) => regex.matches(name))
    } else if (pattern.includes('*') || pattern.includes('?')) {
      const glob = pattern.toLowerCase()
      tests.push((name) => matchesGlob(name, glob))
    } else {
      exact.add(pattern.toLowerCase())
    }
  }
  return (name) => {
    const folded = name.toLowerCase()
    return exact.has(folded) || tests.some((test) => test(folded))
  }
}

/** Tokenomics' `model_regex` searches; ours are anchored, so the search is written out. */
export function searchPattern(regex: string): string {
  return `${REGEX_PREFIX}(?s:.*)(?:${regex})(?s:.*)`
}

function compileRegex(pattern: string): RE2JS {
  return RE2JS.compile(pattern.slice(REGEX_PREFIX.length), RE2JS.CASE_INSENSITIVE)
}

/** Greedy with one point of return: quadratic at worst, never exponential. */
function matchesGlob(name: string, glob: string): boolean {
  let n = 0
  let g = 0
  let starAt = -1
  let retryAt = 0
  while (n < name.length) {
    const wanted = glob[g]
    if (wanted === '*') {
      starAt = g++
      retryAt = n
    } else if (wanted === '?' || wanted === name[n]) {
      g++
      n++
    } else if (starAt >= 0) {
      g = starAt + 1
      n = ++retryAt
    } else {
      return false
    }
  }
  while (glob[g] === '*') g++
  return g === glob.length
}
