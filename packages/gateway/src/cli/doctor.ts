import { Command } from 'commander'
import { type AdminClient, listAll } from './admin-client.ts'
import { isKey, isProvider } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { connectAdmin } from './connect-admin.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import { checkClock, checkFiles, checkPorts, checkRuntime } from './doctor-machine.ts'
import { ConfigError } from '../config/config-error.ts'
import type { LoadedConfig, LoadOptions } from '../config/load-config.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { existsSync } from 'node:fs'
import { problemLines } from './problem-lines.ts'

const MARKS = { ok: '[ok]', warn: '[!!]', fail: '[FAIL]' } as const
const MARK_WIDTH = 6

export function doctorCommand(deps: CliDeps): Command {
  const command = new Command('doctor')
    .description('check the set-up; each problem comes with what to do (exit code 1: a failure)')
    .action((flags: PlaceFlags & { readonly json?: boolean }) => doctor(deps, flags))
  return examples(withPlace(withJson(command)), ['doctor', 'doctor --json'])
}

async function doctor(
  deps: CliDeps,
  flags: PlaceFlags & { readonly json?: boolean },
): Promise<void> {
  const findings = await allFindings(deps, loadOptions(deps.io, flags))
  const failed = findings.filter(({ state }) => state === 'fail').length
  const warned = findings.filter(({ state }) => state === 'warn').length
  if (flags.json === true) {
    printJson(deps.io, { ok: failed === 0, items: findings })
  } else {
    for (const finding of findings) deps.io.out(lineOf(finding))
    deps.io.out(`${failed} failed, ${warned} to look at\n`)
  }
  if (failed > 0) throw new CliError('')
}

function lineOf({ state, check, message, fix }: Finding): string {
  const remedy = fix === null ? '' : `\n${' '.repeat(MARK_WIDTH + 1)}fix: ${plainText(fix)}`
  return `${MARKS[state].padEnd(MARK_WIDTH)} ${check}: ${plainText(message)}${remedy}\n`
}

async function allFindings(deps: CliDeps, load: LoadOptions): Promise<readonly Finding[]> {
  const version = ok('version', `tollgate ${deps.version}, Node.js ${process.versions.node}`)
  const checked = await checkConfig(deps, load)
  if (checked.loaded === null) return [version, ...checked.findings]
  const { config } = checked.loaded
  return [
    version,
    ...checked.findings,
    ...checkFiles(config),
    ...checkRuntime(config),
    ...(await checkPorts(config)),
    ...(await checkGateway(deps, load, config.dir)),
    ...checkClock(),
  ]
}

type CheckedConfig = {
  readonly loaded: LoadedConfig | null
  readonly findings: readonly Finding[]
}

async function checkConfig(deps: CliDeps, load: LoadOptions): Promise<CheckedConfig> {
  try {
    const loaded = await deps.checkConfig(load)
    const where = loaded.file ?? 'no file: defaults and environment'
    const missing = loaded.missingSecrets.map(({ path, reference }) =>
      warn('credential', `${path}: ${reference} is missing`, {
        fix: 'set it where the gateway is started, or remove the provider',
      }),
    )
    return { loaded, findings: [ok('config', where), ...missing] }
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    const fix = 'correct the file; `tollgate config schema` gives editors its shape'
    const findings = problemLines(thrown).map((line) => fail('config', line, { fix }))
    return { loaded: null, findings }
  }
}

/** Store, keys and providers, through the API. A store that is not there yet is not made for this. */
async function checkGateway(
  deps: CliDeps,
  load: LoadOptions,
  dir: string,
): Promise<readonly Finding[]> {
  if (!existsSync(dir)) {
    return [ok('store', `${dir} does not exist yet; the first start makes it`)]
  }
  let client: AdminClient
  try {
    client = await connectAdmin(deps, load)
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return [
      fail('store', message, { fix: 'see the message; a copy of the directory keeps its data' }),
    ]
  }
  try {
    return [await checkKeys(client), ...(await checkProviders(client))]
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return [fail('admin API', message, { fix: 'see the message' })]
  } finally {
    await client.close()
  }
}

async function checkKeys(client: AdminClient): Promise<Finding> {
  const { items } = await listAll(client, { path: '/keys', item: isKey })
  const active = items.filter(({ state }) => state === 'active').length
  if (active > 0) return ok('keys', `${active} active of ${items.length}`)
  return warn('keys', 'no key is active, so no request is accepted', {
    fix: 'tollgate key create --name NAME',
  })
}

async function checkProviders(client: AdminClient): Promise<readonly Finding[]> {
  const { items } = await listAll(client, { path: '/providers', item: isProvider })
  return items.map(({ name, credential, credential_missing: missing }) => {
    if (!missing) return ok('provider', `${name} (${credential ?? 'no credential needed'})`)
    return warn('provider', `${name}: ${credential} is missing`, {
      fix: 'set it where the gateway is started, then `tollgate config reload` or start again',
    })
  })
}
