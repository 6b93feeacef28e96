/** One line of `doctor`. */
export type Finding = {
  readonly state: 'ok' | 'warn' | 'fail'
  readonly check: string
  readonly message: string
  /** What to do; null when all is well. */
  readonly fix: string | null
}

export function ok(check: string, message: string): Finding {
  return { state: 'ok', check, message, fix: null }
}

export function warn(check: string, message: string, { fix }: { readonly fix: string }): Finding {
  return { state: 'warn', check, message, fix }
}

export function fail(check: string, message: string, { fix }: { readonly fix: string }): Finding {
  return { state: 'fail', check, message, fix }
}
