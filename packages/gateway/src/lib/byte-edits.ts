/** A replacement of the bytes `[start, end)`. An insertion has `start === end`. */
export type Edit = { readonly start: number; readonly end: number; readonly text: string }

/** Applies edits that do not overlap, in any order; every other byte stays as it is. */
export function applyEdits(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  const sorted = edits.length === 1 ? edits : edits.toSorted((a, b) => a.start - b.start)
  const parts: Buffer[] = []
  let at = 0
  for (const edit of sorted) {
    parts.push(bytes.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  parts.push(bytes.subarray(at))
  return Buffer.concat(parts)
}
