import { Command } from 'commander'
import type { HealthView } from '../control-plane/admin-api.ts'
import { requestOne } from './admin-client.ts'
import { isHealth } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { locate, remoteServer, runningServer } from './connect-admin.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { readRuntimeFile } from './runtime-file.ts'
import { facts } from './table.ts'

/** Whether a server runs. Looks only: without a server it opens and creates nothing. */
export function statusCommand(deps: CliDeps): Command {
  const command = new Command('status')
    .description('whether a server runs, and how it is (exit code 1: none runs)')
    .action((flags: PlaceFlags & { readonly json?: boolean }) => status(deps, flags))
  return examples(withPlace(withJson(command)), ['status', 'status --json'])
}

async function status(
  deps: CliDeps,
  flags: PlaceFlags & { readonly json?: boolean },
): Promise<void> {
  const { io } = deps
  const place = await locate(loadOptions(io, flags))
  const client = remoteServer(io.env) ?? (await runningServer(place))
  if (client === null) {
    if (flags.json === true) printJson(io, { running: false, dir: place.dir })
    else io.out(`not running (data directory: ${place.dir})\n`)
    throw new CliError('')
  }
  const health = await requestOne(client, { method: 'GET', path: '/health', answer: isHealth })
  const { proxyUrl, adminUrl } = client
  const pid = proxyUrl === null ? null : (readRuntimeFile(place.dir)?.pid ?? null)
  if (flags.json === true) {
    const where = { pid, proxy_url: proxyUrl, admin_url: adminUrl, dir: place.dir }
    return printJson(io, { running: true, ...where, health })
  }
  io.out(
    facts([
      ['state', `running (${health.status})`],
      ['version', health.version],
      ['pid', pid],
      ['proxy', proxyUrl],
      ['admin API', adminUrl],
      ['data directory', place.dir],
      ['started', health.started_at],
      ['targets', targetsText(health)],
      ...Object.entries(health.checks).map(([name, check]) => [name, check] as const),
    ]),
  )
}

/** `3 healthy, 1 down`. */
function targetsText({ targets }: HealthView): string {
  const parts = ['healthy', 'degraded', 'down'].flatMap((state) => {
    const count = targets.filter((target) => target.state === state).length
    return count === 0 ? [] : [`${count} ${state}`]
  })
  return parts.length === 0 ? 'none' : parts.join(', ')
}
