import type { LossList } from '../../contracts/dialect.ts'

/** Enough to see what is wrong; clients could make any number. */
const MAX_LOSSES = 32
const MAX_FIELD_CHARS = 80

/** What one translated request could not carry, each field once, in the order met. */
export class Losses implements LossList {
  private readonly fields = new Set<string>()

  add(field: string): void {
    if (this.fields.size < MAX_LOSSES) this.fields.add(printable(field).slice(0, MAX_FIELD_CHARS))
  }

  get list(): readonly string[] {
    return [...this.fields]
  }
}

/** Fields come from clients and go into a header: commas part them there. */
function printable(field: string): string {
  return field.replace(/[^!-+\--~]/g, '_')
}
