/** Postgres holds every text but those with a zero character or half a character. JSON has escapes for both. */
export function toText(value: string): string {
  const text = value.toWellFormed()
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
}
