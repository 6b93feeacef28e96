/** A replacement of the bytes `[start, end)`. An insertion has `start === end`. */
export type Edit = { readonly start: number; readonly end: number; readonly text: string }

/** Applies edits that do not overlap, in any order; every other byte stays as it is. */
export function applyEdits(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  const [only] = edits
  if (only !== undefined && edits.length === 1) return applyOne(bytes, only)
  const sorted = edits.toSorted((a, b) => a.start - b.start)
  const parts: Buffer[] = []
  let at = 0
  for (const edit of sorted) {
    parts.push(bytes.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  parts.push(bytes.subarray(at))
  return Buffer.concat(parts)
}

/** Most requests have one edit: the model's name. */
function applyOne(bytes: Buffer, { start, end, text }: Edit): Buffer {
  const sizeBytes = Buffer.byteLength(text)
  const edited = Buffer.allocUnsafe(bytes.length - (end - start) + sizeBytes)
  bytes.copy(edited, 0, 0, start)
  edited.write(text, start)
  bytes.copy(edited, start + sizeBytes, end)
  return edited
}
