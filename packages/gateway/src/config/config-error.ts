/** One thing that is wrong with a configuration. `line` and `column` count from 1; null: not in a file (environment, API). */
export type ConfigProblem = {
  /** As in `models.fast.targets[0].provider`; `''` is the whole. */
  readonly path: string
  readonly line: number | null
  readonly column: number | null
  readonly message: string
}

/** Everything that is wrong, at once. The message is for the operator's terminal. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** The file, or null when there is none. */
  readonly file: string | null
  readonly problems: readonly ConfigProblem[]

  constructor(file: string | null, problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => formatProblem(file, problem)).join('\n'))
    this.file = file
    this.problems = problems
  }
}

function formatProblem(file: string | null, problem: ConfigProblem): string {
  const place = problem.line === null ? '' : `:${problem.line}:${problem.column ?? 1}`
  const where = file === null ? '' : `${file}${place}: `
  return `${where}${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`
}

export type PathSegment = string | number

/** `['models', 'gpt-4.1', 'targets', 0]` → `models["gpt-4.1"].targets[0]`. */
export function formatPath(path: readonly PathSegment[]): string {
  let text = ''
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`
    else if (!/^[A-Za-z0-9_@:/*-]+$/.test(segment)) text += `[${JSON.stringify(segment)}]`
    else text += text === '' ? segment : `.${segment}`
  }
  return text
}
