import type { Argument, Command } from 'commander'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createProgram } from './create-program.ts'
import { fakeDeps } from './testing/fake-deps.ts'
import { UNAVAILABLE } from './unavailable.ts'

type Described = {
  /** As in the heading: `tollgate key get [id]`. */
  readonly usage: string
  readonly aliases: readonly string[]
  readonly flags: readonly string[]
}

const PAGE = readFileSync(
  new URL('../../../../docs/reference/cli.md', import.meta.url),
  'utf8',
).replaceAll('\r\n', '\n')
const [COMMANDS = '', LATER = ''] = PAGE.split('\n## Not available in this version\n')

function documented(): readonly Described[] {
  const [, ...sections] = COMMANDS.split(/^##+ (?=`tollgate)/m)
  return sections.map((section) => {
    const [heading = '', ...lines] = section.split(/\n(?=## )/)[0]?.split('\n') ?? []
    const table = lines.flatMap((line) => /^\| `(--[a-z-]+)[ `]/.exec(line)?.[1] ?? [])
    const also = lines.filter((line) => line.startsWith('Also `--')).join(' ')
    const alias = lines.find((line) => line.startsWith('Alias: ')) ?? ''
    return {
      usage: heading.replaceAll('`', ''),
      aliases: namesIn(alias, /`([a-z]+)`/g),
      flags: [...table, ...namesIn(also, /(--[a-z-]+)/g)],
    }
  })
}

function namesIn(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map(([, name = '']) => name)
}

/** Not those that say only that they are not built yet. */
function built(command: Command, path: readonly string[] = []): readonly Described[] {
  const help = command.createHelp()
  const words = [...path, command.name()]
  const own: Described = {
    usage: [...words, ...command.registeredArguments.map(argumentText)].join(' '),
    aliases: command.aliases(),
    flags: help.visibleOptions(command).flatMap(({ long }) => (long == null ? [] : [long])),
  }
  const parts = help.visibleCommands(command).filter((one) => one.name() !== 'help')
  const nested = parts.filter((one) => !isLater(one)).flatMap((one) => built(one, words))
  return [own, ...nested]
}

function isLater(command: Command): boolean {
  return command.description().includes('not available in this version')
}

function laterNames(command: Command, path: readonly string[] = []): readonly string[] {
  return command.commands.flatMap((one) => {
    const words = [...path, one.name()]
    return isLater(one) ? [words.join(' ')] : laterNames(one, words)
  })
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`
  return argument.required ? `<${name}>` : `[${name}]`
}

function sorted({ usage, aliases, flags }: Described): Described {
  const wanted = flags.filter((flag) => flag !== '--help')
  return { usage, aliases, flags: [...new Set(wanted)].toSorted() }
}

const PROGRAM = createProgram(fakeDeps())

describe('docs/reference/cli.md', () => {
  it('names exactly the commands that there are, with their arguments', () => {
    expect(documented().map(({ usage }) => usage)).toEqual(built(PROGRAM).map(({ usage }) => usage))
  })

  it.each(built(PROGRAM).map(sorted))('names the flags and aliases of $usage', (command) => {
    const found = documented().find(({ usage }) => usage === command.usage)
    expect(found && sorted(found)).toEqual(command)
  })

  it('names what is not built yet', () => {
    const names = namesIn(LATER.replaceAll('\n', ' '), /`([a-z ]+)`/g)
    expect(names.toSorted()).toEqual([...UNAVAILABLE, ...laterNames(PROGRAM)].toSorted())
  })
})
