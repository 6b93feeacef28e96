import type { Variables } from './agent-variables.ts'

/** The file's text with these variables set: in place where they stand, else at the end. All else stays as it is. */
export function setVariables(text: string, variables: Variables): string {
  const left = new Map(Object.entries(variables))
  const lines = text === '' ? [] : text.replace(/\r?\n$/, '').split('\n')
  const kept = lines.map((line) => {
    const name = nameOf(line)
    const value = name === null ? undefined : variables[name]
    if (name === null || value === undefined) return line
    left.delete(name)
    return `${/^\s*export\s/.test(line) ? 'export ' : ''}${name}=${quotedValue(value)}`
  })
  const added = [...left].map(([name, value]) => `${name}=${quotedValue(value)}`)
  return [...kept, ...added].map((line) => `${line}\n`).join('')
}

/** Without the lines that set these names. */
export function removeVariables(text: string, names: readonly string[]): string {
  return text
    .split('\n')
    .filter((line) => !names.includes(nameOf(line) ?? ''))
    .join('\n')
}

/** The last one wins, as with every reader of such files. Null: not set. */
export function readVariable(text: string, name: string): string | null {
  const line = text.split('\n').findLast((one) => nameOf(one) === name)
  if (line === undefined) return null
  const value = line.slice(line.indexOf('=') + 1).trim()
  const quote = /^(["'])(.*)\1$/.exec(value)
  return quote?.[2] ?? value
}

function nameOf(line: string): string | null {
  return /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=/.exec(line)?.[1] ?? null
}

function quotedValue(value: string): string {
  return `"${value.replaceAll(/["\\$`]/g, String.raw`\$&`)}"`
}
