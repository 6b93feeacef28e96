/**
 * What a JSON value must look like. Members that are not named are allowed, as vendors add them all the time; those that
 * are named are required unless wrapped in `maybe`.
 */
export type Shape = (value: unknown, at: string, problems: string[]) => void

export const text: Shape = (value, at, problems) => {
  if (typeof value !== 'string') problems.push(`${at}: no text but ${show(value)}`)
}

export const count: Shape = (value, at, problems) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    problems.push(`${at}: no count but ${show(value)}`)
  }
}

export const bool: Shape = (value, at, problems) => {
  if (typeof value !== 'boolean') problems.push(`${at}: no boolean but ${show(value)}`)
}

/** Present, whatever it is. */
export const any: Shape = (value, at, problems) => {
  if (value === undefined) problems.push(`${at}: missing`)
}

export function oneOf(...values: readonly (string | null)[]): Shape {
  return (value, at, problems) => {
    if (!values.some((one) => one === value)) {
      problems.push(`${at}: ${show(value)} is none of ${values.join(', ')}`)
    }
  }
}

export function nullable(shape: Shape): Shape {
  return (value, at, problems) => {
    if (value !== null) shape(value, at, problems)
  }
}

/** The member may be absent. */
export function maybe(shape: Shape): Shape {
  return (value, at, problems) => {
    if (value !== undefined) shape(value, at, problems)
  }
}

export function listOf(shape: Shape): Shape {
  return (value, at, problems) => {
    if (!Array.isArray(value)) problems.push(`${at}: no list but ${show(value)}`)
    else value.forEach((item: unknown, i) => shape(item, `${at}[${i}]`, problems))
  }
}

export function object(members: Readonly<Record<string, Shape>>): Shape {
  return (value, at, problems) => {
    if (!isRecord(value)) {
      problems.push(`${at}: no object but ${show(value)}`)
      return
    }
    for (const [name, shape] of Object.entries(members)) {
      shape(value[name], at === '' ? name : `${at}.${name}`, problems)
    }
  }
}

/** The shape by the value of a member, `type` as a rule. */
export function variant(member: string, shapes: Readonly<Record<string, Shape>>): Shape {
  return (value, at, problems) => {
    const name = isRecord(value) ? value[member] : undefined
    const shape = typeof name === 'string' && Object.hasOwn(shapes, name) ? shapes[name] : undefined
    if (shape === undefined) problems.push(`${at}.${member}: ${show(name)} is not known`)
    else shape(value, at, problems)
  }
}

export function problemsOf(shape: Shape, value: unknown): readonly string[] {
  const problems: string[] = []
  shape(value, '', problems)
  return problems
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80)
}
