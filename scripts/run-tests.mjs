// Everything that CI runs: types, lint, format, dead code, unit and contract tests, end-to-end tests with official clients.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = path.join(import.meta.dirname, '..')
const bin = (name) => path.join(root, 'node_modules', '.bin', name)
const rest = process.argv.slice(2)

function run(title, command, args, options = {}) {
  const startedMs = performance.now()
  process.stdout.write(`\n== ${title}\n`)
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  if (result.status === 0) return void process.stdout.write(`== ${title}: fine (${seconds} s)\n`)
  process.stdout.write(`== ${title}: FAILED (${seconds} s)\n`)
  process.exit(1)
}

/** The official clients have a lockfile of their own, so that running Tollgate does not install them. */
function installClients() {
  const folder = path.join(root, 'e2e')
  const wanted = createHash('sha256')
    .update(readFileSync(path.join(folder, 'package-lock.json')))
    .digest('hex')
  const marker = path.join(folder, 'node_modules', '.tollgate-install')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return
  run('install the official clients', 'npm', [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--prefix',
    folder,
  ])
  writeFileSync(marker, wanted)
}

if (rest.length === 0) {
  installClients()
  run('types', bin('tsc'), ['-p', '.'])
  run('lint', bin('oxlint'), ['--deny-warnings'])
  run('format', bin('biome'), ['format'])
  run('dead code', bin('knip'), [])
}
run('tests', bin('vitest'), ['run', ...rest])
