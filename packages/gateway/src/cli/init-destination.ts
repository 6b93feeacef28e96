import path from 'node:path'
import { didYouMean } from '../lib/did-you-mean.ts'
import { isRecord } from '../lib/is-record.ts'
import { codexSettings, type Variables } from './agent-variables.ts'
import type { Io } from './cli-deps.ts'
import { CliError, wrongUsage } from './cli-error.ts'
import { readVariable, removeVariables, setVariables } from './dotenv-file.ts'
import { readIfThere, writePrivate } from './private-file.ts'

/** Where `init` puts the variables. */
export type Destination = {
  readonly keyName: string
  /** When `--provider` does not say. */
  readonly provider: string
  readonly read: (name: string) => string | null
  readonly write: (variables: Variables) => void
  readonly remove: (names: readonly string[]) => void
}

export type DestinationFlags = {
  readonly output?: string
  readonly agent?: string
  readonly dotenv?: string
}

const AGENTS: readonly string[] = ['claude-code', 'codex', 'cursor']

/** Throws `CliError` for an agent that is unknown. */
export function destinationOf(io: Io, flags: DestinationFlags): Destination {
  const { agent, output } = flags
  if (agent === 'claude-code') return claudeSettings(io)
  if (agent === 'cursor') return cursorInstructions(io)
  if (agent === 'codex') return codexInstructions(io)
  if (agent !== undefined) {
    throw wrongUsage(`unknown agent "${agent}"${didYouMean(agent, AGENTS)}`)
  }
  if (output === 'dotenv' || (output === undefined && flags.dotenv !== undefined)) {
    return dotenvFile(io, path.resolve(io.cwd, flags.dotenv ?? '.env'))
  }
  return printed(io, output ?? 'shell')
}

function printed(io: Io, form: string): Destination {
  return {
    keyName: `init-${form}`,
    provider: 'generic',
    read: () => null,
    write: (variables) => io.out(printedText(form, variables)),
    remove: (names) => io.out(names.map((name) => `unset ${name}\n`).join('')),
  }
}

function printedText(form: string, variables: Variables): string {
  if (form === 'json') return `${JSON.stringify(variables, null, 2)}\n`
  const line = LINES.get(form) ?? shellLine
  return Object.entries(variables)
    .map(([name, value]) => `${line(name, value)}\n`)
    .join('')
}

/** Double quotes, and on one line each also good for `eval $(…)` without quotes. */
function shellLine(name: string, value: string): string {
  return `export ${name}="${value.replaceAll(/["\\$`]/g, String.raw`\$&`)}"`
}

const LINES: ReadonlyMap<string, (name: string, value: string) => string> = new Map([
  ['fish', (name, value) => `set -gx ${name} '${value.replaceAll(/['\\]/g, String.raw`\$&`)}'`],
  ['powershell', (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`],
])

function dotenvFile(io: Io, file: string): Destination {
  return {
    keyName: 'init-dotenv',
    provider: 'generic',
    read: (name) => readVariable(readIfThere(file) ?? '', name),
    write(variables) {
      writePrivate(file, setVariables(readIfThere(file) ?? '', variables))
      io.err(`tollgate: wrote ${Object.keys(variables).join(', ')} to ${file}\n`)
    },
    remove(names) {
      const text = readIfThere(file)
      if (text !== null) writePrivate(file, removeVariables(text, names))
      io.err(`tollgate: removed ${names.join(', ')} from ${file}\n`)
    },
  }
}

/** Claude Code's settings of this folder that are not shared. Every other member stays. */
function claudeSettings(io: Io): Destination {
  const file = path.resolve(io.cwd, '.claude', 'settings.local.json')
  return {
    keyName: 'claude-code',
    provider: 'anthropic',
    read(name) {
      const value = envOf(readSettings(file))[name]
      return typeof value === 'string' ? value : null
    },
    write(variables) {
      const settings = readSettings(file)
      const env = { ...envOf(settings), ...variables }
      writePrivate(file, `${JSON.stringify({ ...settings, env }, null, 2)}\n`)
      io.err(`tollgate: wrote ${Object.keys(variables).join(', ')} to ${file}\n`)
    },
    remove(names) {
      const settings = readSettings(file)
      const env = Object.entries(envOf(settings)).filter(([name]) => !names.includes(name))
      const kept = { ...settings, env: Object.fromEntries(env) }
      writePrivate(file, `${JSON.stringify(kept, null, 2)}\n`)
      io.err(`tollgate: removed ${names.join(', ')} from ${file}\n`)
    },
  }
}

type Settings = Readonly<Record<string, unknown>>

function readSettings(file: string): Settings {
  const text = readIfThere(file)
  if (text === null || text.trim() === '') return {}
  try {
    const settings: unknown = JSON.parse(text)
    if (isRecord(settings)) return settings
  } catch {
    // Said below: a file that is not understood is not written over.
  }
  throw new CliError(`${file} is no JSON object; correct it first.`)
}

function envOf(settings: Settings): Settings {
  const env = settings['env']
  return isRecord(env) ? env : {}
}

/** Cursor keeps its settings in a database of its own, so a person has to enter them. */
function cursorInstructions(io: Io): Destination {
  const say = (variables: Variables): void => {
    const [key = '', url = ''] = Object.values(variables)
    io.out(
      [
        'In Cursor: Settings > Models > API Keys',
        `  OpenAI API Key            ${key}`,
        `  Override OpenAI Base URL  ${url}`,
        "Cursor's servers make the calls, so the address must be one that they reach.",
        '',
      ].join('\n'),
    )
  }
  return {
    keyName: 'cursor',
    provider: 'openai',
    read: () => null,
    write: say,
    remove: () => io.out('In Cursor: Settings > Models > API Keys: clear both fields.\n'),
  }
}

/** The file may hold tables and comments of the person's own, so it is not written into. */
function codexInstructions(io: Io): Destination {
  return {
    keyName: 'codex',
    provider: 'openai',
    read: () => null,
    write(variables) {
      const [key = '', url = ''] = Object.values(variables)
      const [first = ['', ''], ...others] = codexSettings(url.replace(/\/v1$/, ''))
      const members = others.map(([name, value]) => `${name.split('.').at(-1)} = ${value}`)
      io.out(
        [
          '# ~/.codex/config.toml, above its first table:',
          first.join(' = '),
          '',
          '# and at its end:',
          '[model_providers.tollgate]',
          ...members,
          '',
          '# in the shell that starts codex:',
          `# ${shellLine('TOLLGATE_KEY', key)}`,
          '',
        ].join('\n'),
      )
    },
    remove: () => io.out('# ~/.codex/config.toml: take out model_provider and the table.\n'),
  }
}
