/** A number that only grows. Kept by the caller, so that adding to it is one addition. */
export type Cell = { value: number }

/** Durations in seconds. `counts[i]` is for `bounds[i]`; the last one is for everything above. */
export type HistogramCell = {
  readonly bounds: readonly number[]
  readonly counts: number[]
  sum: number
}

type Labels = Readonly<Record<string, string>>

export type Family = { render(): string }

export type CounterFamily = Family & { cell(labels: Labels): Cell }
export type HistogramFamily = Family & { cell(labels: Labels): HistogramCell }

/** `perUnit`: how many of the cells' units are one of the metric's, 1e9 for nano-USD. */
export function counterFamily(name: string, help: string, perUnit = 1): CounterFamily {
  const cells = new Map<string, Cell>()
  return {
    cell: (labels) => cellOf(cells, labels, () => ({ value: 0 })),
    render() {
      let text = heading(name, help, 'counter')
      for (const [labels, cell] of cells)
        text += `${name}${braced(labels)} ${cell.value / perUnit}\n`
      return text
    },
  }
}

export function histogramFamily(
  name: string,
  help: string,
  bounds: readonly number[],
): HistogramFamily {
  const cells = new Map<string, HistogramCell>()
  const empty = (): HistogramCell => ({
    bounds,
    counts: Array.from({ length: bounds.length + 1 }, () => 0),
    sum: 0,
  })
  return {
    cell: (labels) => cellOf(cells, labels, empty),
    render() {
      let text = heading(name, help, 'histogram')
      for (const [labels, cell] of cells) text += histogramLines(name, labels, cell)
      return text
    },
  }
}

/** Read when scraped. A reader that throws is left out of this scrape. */
export function gaugeFamily(name: string, help: string, read: () => number): Family {
  return {
    render() {
      try {
        return `${heading(name, help, 'gauge')}${name} ${read()}\n`
      } catch {
        return ''
      }
    },
  }
}

/** The same with labels: every series is read anew. */
export function labelledGaugeFamily(
  name: string,
  help: string,
  read: () => readonly { readonly labels: Labels; readonly value: number }[],
): Family {
  return {
    render() {
      try {
        const lines = read().map(
          ({ labels, value }) => `${name}${braced(labelText(labels))} ${value}\n`,
        )
        return heading(name, help, 'gauge') + lines.join('')
      } catch {
        return ''
      }
    },
  }
}

/** Hot: three times per request. Bounds are few, so a loop is faster than a search. */
export function observe(cell: HistogramCell, seconds: number): void {
  const { bounds, counts } = cell
  let i = 0
  while (i < bounds.length && seconds > (bounds[i] ?? 0)) i++
  counts[i] = (counts[i] ?? 0) + 1
  cell.sum += seconds
}

function histogramLines(name: string, labels: string, cell: HistogramCell): string {
  const start = labels === '' ? '' : `${labels},`
  let text = ''
  let total = 0
  for (const [i, count] of cell.counts.entries()) {
    total += count
    text += `${name}_bucket{${start}le="${cell.bounds[i] ?? '+Inf'}"} ${total}\n`
  }
  return `${text}${name}_sum${braced(labels)} ${cell.sum}\n${name}_count${braced(labels)} ${total}\n`
}

function cellOf<T>(cells: Map<string, T>, labels: Labels, empty: () => T): T {
  const text = labelText(labels)
  const found = cells.get(text)
  if (found !== undefined) return found
  const made = empty()
  cells.set(text, made)
  return made
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',')
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

function heading(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
}

/** Source: prometheus.io/docs/instrumenting/exposition_formats. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

/** Lets the first `most` distinct values through; later ones are `other`. */
export function boundedLabel(most: number): (value: string | null) => string {
  const known = new Set<string>()
  return (value) => {
    if (value === null || value === '') return 'none'
    if (known.has(value)) return value
    if (known.size >= most) return 'other'
    known.add(value)
    return value
  }
}
