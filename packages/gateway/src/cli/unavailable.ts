import { Command } from 'commander'
import { notAvailable } from './cli-error.ts'

/** Commands that later versions have. */
export const UNAVAILABLE: readonly string[] = [
  'start',
  'stop',
  'restart',
  'setup',
  'cache',
  'vault',
  'keys',
  'logs',
  'events',
  'audit',
  'tsdb',
  'remote',
  'service',
  'bench',
]

/** Known, so that nobody looks for a slip of the keyboard. Takes any arguments, `--help` too. */
export function unavailableCommand(name: string): Command {
  return new Command(name)
    .helpOption(false)
    .helpCommand(false)
    .allowUnknownOption()
    .argument('[args...]')
    .action(() => {
      throw notAvailable(name)
    })
}
