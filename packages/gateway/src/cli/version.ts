import { Command } from 'commander'
import type { CliDeps } from './cli-deps.ts'
import { printJson, withJson } from './flags.ts'

export function versionCommand({ io, version }: CliDeps): Command {
  const command = new Command('version').description('print the version')
  return withJson(command).action((flags: { readonly json?: boolean }) => {
    const { node } = process.versions
    const { platform, arch } = process
    if (flags.json === true) return printJson(io, { version, node, platform, arch })
    io.out(`tollgate ${version} (Node.js ${node}, ${platform} ${arch})\n`)
  })
}
