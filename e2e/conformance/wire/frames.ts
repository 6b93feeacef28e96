/** A frame of an event stream: `event` and the parsed `data`; a comment is none. */
export type Frame = { readonly event: string | null; readonly data: unknown; readonly raw: string }

export function framesOf(stream: string): readonly Frame[] {
  const frames: Frame[] = []
  for (const block of stream.split(/\r?\n\r?\n/)) {
    const lines = block.split(/\r?\n/)
    const data = fieldOf(lines, 'data')
    if (data === null) continue
    frames.push({ event: fieldOf(lines, 'event'), raw: data, data: parsed(data) })
  }
  return frames
}

function fieldOf(lines: readonly string[], name: string): string | null {
  const found = lines.filter((line) => line.startsWith(`${name}:`))
  if (found.length === 0) return null
  return found.map((line) => line.slice(name.length + 1).replace(/^ /, '')).join('\n')
}

/** A text that is no JSON, such as `[DONE]`, stays a text. */
function parsed(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return data
  }
}
