/** Rows of a CSV text by the names of its first row. Quoted fields may hold commas, quotes and line ends. */
export function parseCsv(text: string): readonly Readonly<Record<string, string>>[] {
  const [names, ...rows] = readRows(text.startsWith('\uFEFF') ? text.slice(1) : text)
  if (names === undefined) return []
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name.trim(), row[i] ?? ''])))
}

const FIELD = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|$)/g

function readRows(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  for (const [whole, field = '', end] of text.matchAll(FIELD)) {
    if (whole === '' && row.length === 0) continue
    row.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field)
    if (end === ',') continue
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
  }
  return rows
}
