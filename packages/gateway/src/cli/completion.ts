import { Argument, Command } from 'commander'
import type { CliDeps } from './cli-deps.ts'
import { examples } from './flags.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Completions are generated from the command tree, so they cannot miss a flag. */
export function completionCommand({ io }: CliDeps): Command {
  const command: Command = new Command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: string) => io.out(script(shell, rootOf(command))))
  return examples(command, [
    'completion bash > ~/.local/share/bash-completion/completions/tollgate',
    'completion zsh > "${fpath[1]}/_tollgate"',
    'completion fish > ~/.config/fish/completions/tollgate.fish',
  ])
}

function rootOf(command: Command): Command {
  let root = command
  while (root.parent !== null) root = root.parent
  return root
}

type Entry = {
  /** Names of commands, joined by a space; empty for the program itself. */
  readonly path: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  readonly flags: readonly { readonly name: string; readonly description: string }[]
}

/** Every command under every name that it has. */
function entriesOf(command: Command, path: readonly string[] = []): readonly Entry[] {
  const help = command.createHelp()
  const visible = help.visibleCommands(command).filter((one) => one.name() !== 'help')
  const own: Entry = {
    path: path.join(' '),
    commands: visible.map((one) => ({ name: one.name(), description: one.description() })),
    flags: help
      .visibleOptions(command)
      .flatMap(({ long, description }) => (long == null ? [] : [{ name: long, description }])),
  }
  const deeper = visible.flatMap((one) =>
    [one.name(), ...one.aliases()].flatMap((name) => entriesOf(one, [...path, name])),
  )
  return [own, ...deeper]
}

function script(shell: string, root: Command): string {
  const entries = entriesOf(root)
  if (shell === 'fish') return fishScript(entries)
  return shell === 'zsh' ? zshScript(entries) : bashScript(entries)
}

/** The words before the cursor that name commands, as far as the tree knows them. */
function findPath(entries: readonly Entry[]): string {
  const paths = entries.map(({ path }) => `|${path}`).join('')
  return `  local path="" word next
  for word in "\${words_before[@]}"; do
    next="\${path:+$path }$word"
    case "${paths}|" in *"|$next|"*) path="$next" ;; esac
  done
`
}

function wordsCase(entries: readonly Entry[]): string {
  const cases = entries.map(({ path, commands, flags }) => {
    const words = [...commands, ...flags].map(({ name }) => name).join(' ')
    return `    "${path}") words="${words}" ;;`
  })
  return `  local words=""\n  case "$path" in\n${cases.join('\n')}\n  esac\n`
}

function bashScript(entries: readonly Entry[]): string {
  return `# bash completion for tollgate
_tollgate() {
  local words_before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${findPath(entries)}${wordsCase(entries)}  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _tollgate tollgate
`
}

function zshScript(entries: readonly Entry[]): string {
  return `#compdef tollgate
_tollgate() {
  local -a words_before
  words_before=("\${(@)words[2,CURRENT-1]}")
  _tollgate_words
}
_tollgate_words() {
${findPath(entries)}${wordsCase(entries).replaceAll('words="', 'found="').replace('local words', 'local found')}  compadd -- \${=found}
}
compdef _tollgate tollgate
`
}

function fishScript(entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ path, commands, flags }) => {
    const condition = `-n '__tollgate_at "${path}"'`
    return [
      ...commands.map(
        ({ name, description }) =>
          `complete -c tollgate -f ${condition} -a ${name} -d ${fishText(description)}`,
      ),
      ...flags.map(
        ({ name, description }) =>
          `complete -c tollgate ${condition} -l ${name.slice(2)} -d ${fishText(description)}`,
      ),
    ]
  })
  const paths = entries.map(({ path }) => fishText(path)).join(' ')
  return `# fish completion for tollgate
set -g __tollgate_paths ${paths}
function __tollgate_at
  set -l path ""
  for word in (commandline -opc)[2..-1]
    set -l next (string trim "$path $word")
    contains -- "$next" $__tollgate_paths; and set path "$next"
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`
}

function fishText(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`
}
