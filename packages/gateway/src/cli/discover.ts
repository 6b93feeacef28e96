import type { DiscoveredModelView, ProviderModelsView } from '../control-plane/admin-api.ts'
import { requestOne } from './admin-client.ts'
import { wholeText } from './amounts.ts'
import { isProviderModels } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { printJson } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { table } from './table.ts'

export type DiscoverFlags = PlaceFlags & { readonly json?: boolean; readonly yaml?: boolean }

/** Shows what a provider lists. Nothing is written: `provider/model` is served without an entry. */
export async function discover(deps: CliDeps, name: string, flags: DiscoverFlags): Promise<void> {
  const path = `/providers/${encodeURIComponent(name)}/discover`
  const found = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, { method: 'POST', path, answer: isProviderModels }),
  )
  if (flags.json === true) printJson(deps.io, found)
  if (!found.ok) throw new CliError(`${plainText(name)}: ${plainText(found.problem ?? '')}`)
  if (flags.json === true) return
  deps.io.out(flags.yaml === true ? entries(found) : modelTable(found.items))
}

function modelTable(models: readonly DiscoveredModelView[]): string {
  return table(models, [
    { title: 'name', value: ({ name }) => plainText(name) },
    { title: 'known', value: ({ known }) => (known ? 'yes' : 'no') },
    { title: 'declared', value: ({ declared }) => (declared ? 'yes' : 'no') },
    { title: 'context', value: ({ context }) => wholeOrNull(context), right: true },
    { title: 'max output', value: ({ max_output: most }) => wholeOrNull(most), right: true },
    { title: 'usd/mtok in', value: ({ price }) => price?.input ?? null, right: true },
    { title: 'out', value: ({ price }) => price?.output ?? null, right: true },
  ])
}

function wholeOrNull(tokens: number | null): string | null {
  return tokens === null ? null : wholeText(tokens)
}

/** JSON texts are YAML, so that no id can be read as anything else. */
function entries({ provider, items }: ProviderModelsView): string {
  const lines = items
    .filter(({ declared }) => !declared)
    .map(({ model, name, price }) => {
      const target = `{ provider: ${JSON.stringify(provider)}, model: ${JSON.stringify(model)} }`
      const note = price === null ? ' # no price is known' : ''
      return `  ${JSON.stringify(name)}: { targets: [${target}] }${note}\n`
    })
  return lines.length === 0 ? '' : `models:\n${lines.join('')}`
}
