// Makes dist/, what `npm pack` puts into the package: the modules without their types, and the files that they read.
//
//   node scripts/build.mjs [--out DIR]
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, globSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

const root = path.join(import.meta.dirname, '..')
const gateway = path.join(root, 'packages', 'gateway')
const { values } = parseArgs({ options: { out: { type: 'string' } } })
const out = path.resolve(values.out ?? path.join(gateway, 'dist'))

rmSync(out, { recursive: true, force: true })
const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const project = path.join(gateway, 'tsconfig.build.json')
const compiled = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', out], {
  stdio: 'inherit',
})
if (compiled.status !== 0) process.exit(1)

const source = path.join(gateway, 'src')
const read = globSync('**/*.{json,lua,md}', {
  cwd: source,
  exclude: ['**/fixtures/**', '**/testing/**'],
})
for (const file of read) copy(path.join(source, file), path.join(out, file))
for (const file of ['LICENSE', 'NOTICE']) copy(path.join(root, file), path.join(out, file))
if (!existsSync(path.join(out, 'main.js'))) throw new Error('the build made no main.js')

function copy(from, to) {
  mkdirSync(path.dirname(to), { recursive: true })
  copyFileSync(from, to)
}
