/** A configuration that is well formed but cannot run. `at` is the path in it, such as `models.fast.targets[0].provider`. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
  readonly at: string
  readonly problem: string

  constructor(at: string, problem: string) {
    super(`${at}: ${problem}`)
    this.at = at
    this.problem = problem
  }
}
