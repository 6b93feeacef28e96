import { plainText } from './plain-text.ts'

export type Column<T> = {
  readonly title: string
  readonly value: (row: T) => string | number | null
  readonly right?: boolean
}

const GAP = '  '

/** Aligned columns under upper-case titles. Null is shown as `-`. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = rows.map((row) => columns.map(({ value }) => cell(value(row))))
  const widths = columns.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((line) => (line[i] ?? '').length)),
  )
  const titles = columns.map(({ title }) => title.toUpperCase())
  return [titles, ...cells].map((line) => joined(line, columns, widths)).join('')
}

function cell(value: string | number | null): string {
  if (value === null || value === '') return '-'
  return plainText(String(value))
}

function joined<T>(
  line: readonly string[],
  columns: readonly Column<T>[],
  widths: readonly number[],
): string {
  const padded = line.map((text, i) => {
    const width = widths[i] ?? 0
    return columns[i]?.right === true ? text.padStart(width) : text.padEnd(width)
  })
  return `${padded.join(GAP).trimEnd()}\n`
}

/** `name  value` lines for one object. */
export function facts(pairs: readonly (readonly [string, string | number | null])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}\n`).join('')
}
