import { InvalidArgumentError, type Command } from 'commander'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { JsonObject } from '../control-plane/admin-api.ts'
import { isRecord } from '../lib/is-record.ts'
import type { Io } from './cli-deps.ts'
import { wrongUsage } from './cli-error.ts'

const HIGHEST_PORT = 65_535
/** As the configuration has it. */
const MOST_WORKERS = 64

/** The flags that say which gateway is meant. */
export function withPlace(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file')
    .option('--dir <dir>', 'data directory (default: .tollgate)')
}

export function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON document')
}

export function examples(command: Command, lines: readonly string[]): Command {
  const text = lines.map((line) => `  $ tollgate ${line}`).join('\n')
  return command.addHelpText('after', `\nExamples:\n${text}`)
}

export function port(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (number <= HIGHEST_PORT) return number
  throw new InvalidArgumentError(`A port is a number from 0 to ${HIGHEST_PORT}.`)
}

export function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number above 0.')
}

export function workers(text: string): number | 'auto' {
  if (text === 'auto') return text
  const number = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= MOST_WORKERS) return number
  throw new InvalidArgumentError(`Write a number from 1 to ${MOST_WORKERS}, or auto.`)
}

/** `a,b` and repeated flags, together. */
export function names(text: string, before: readonly string[] = []): readonly string[] {
  const more = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return [...before, ...more]
}

export type Pairs = Readonly<Record<string, string>>

/** `k=v,k2=v2` is not split: values may hold commas. Repeat the flag. */
export function pair(text: string, before: Pairs = {}): Pairs {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('Write name=value.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** `JSON`, `@FILE` or `-` (standard input). Throws `CliError` with exit code 2. */
export async function jsonObject(io: Io, flag: string, text: string): Promise<JsonObject> {
  const source = await textOf(io, flag, text)
  try {
    const value: unknown = JSON.parse(source)
    if (isRecord(value)) return value
  } catch (cause) {
    throw wrongUsage(`${flag}: this is no JSON: ${cause instanceof Error ? cause.message : ''}`)
  }
  throw wrongUsage(`${flag}: a JSON object is needed, such as {"models": {"allow": ["gpt-*"]}}.`)
}

async function textOf(io: Io, flag: string, text: string): Promise<string> {
  if (text === '-') return await io.readStdin()
  if (!text.startsWith('@')) return text
  const file = path.resolve(io.cwd, text.slice(1))
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw wrongUsage(`${flag}: the file ${file} cannot be read.`)
  }
}

/** The object without its undefined members. */
export function given<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> }
export function given(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
}

export function printJson(io: Io, value: unknown): void {
  io.out(`${JSON.stringify(value, null, 2)}\n`)
}
