'use strict'
// Runs a script of this checkout with the right Node.js, whatever Node.js the machine has.
// Old syntax and no dependencies on purpose: this file must run on Node 12.
//
//   node scripts/with-node.cjs [--install=run|all] SCRIPT [ARGS…]
//
// Node 24 comes from npm by platform package into .node/, checked against scripts/node-versions.json.
// Nothing runs an install script.
const childProcess = require('child_process')
const crypto = require('crypto')
const fs = require('fs')
const os = require('os')
const path = require('path')

const ROOT = path.join(__dirname, '..')

function isRightNode(version) {
  const parts = version.split('.').map(Number)
  const major = parts[0]
  const minor = parts[1]
  return (major === 24 && minor >= 16) || (major === 26 && minor >= 1) || major > 26
}

function fail(message) {
  process.stderr.write('tollgate: ' + message + '\n')
  process.exit(1)
}

function say(message) {
  process.stderr.write('tollgate: ' + message + '\n')
}

/** npm's own script: given by `npm start`, else found beside the npm on the PATH. */
function findNpm() {
  const given = process.env.npm_execpath
  if (given && given.endsWith('npm-cli.js') && fs.existsSync(given)) return given
  const beside = path.join(
    path.dirname(process.execPath),
    '..',
    'lib',
    'node_modules',
    'npm',
    'bin',
    'npm-cli.js',
  )
  if (fs.existsSync(beside)) return beside
  const folders = (process.env.PATH || '').split(path.delimiter)
  for (let i = 0; i < folders.length; i++) {
    const candidate = path.join(folders[i], 'npm')
    if (!fs.existsSync(candidate)) continue
    const real = fs.realpathSync(candidate)
    if (real.endsWith('npm-cli.js')) return real
  }
  fail('npm was not found. Install Node.js 24.16 or newer from https://nodejs.org and try again.')
}

function runNpm(node, args, options) {
  const environment = Object.assign({}, process.env, { npm_config_update_notifier: 'false' })
  // npm's scripts find "node" on the PATH: it must be the one that we chose.
  environment.PATH = path.dirname(node) + path.delimiter + (process.env.PATH || '')
  return childProcess.spawnSync(
    node,
    [findNpm()].concat(args),
    Object.assign({ cwd: ROOT, encoding: 'utf8', env: environment }, options),
  )
}

function platformPackage() {
  const platform = os.platform() === 'win32' ? 'win' : os.platform()
  return 'node-' + platform + '-' + os.arch()
}

/** The path of a Node.js that is new enough, fetched once. */
function findNode() {
  if (isRightNode(process.versions.node)) return process.execPath
  const name = platformPackage()
  const pins = JSON.parse(fs.readFileSync(path.join(__dirname, 'node-versions.json'), 'utf8'))
  const pin = pins[name]
  if (!pin) {
    fail(
      'this needs Node.js 24.16 or newer, the machine has ' +
        process.versions.node +
        ', and npm has no package for ' +
        os.platform() +
        ' ' +
        os.arch() +
        '. Install it from https://nodejs.org and try again.',
    )
  }
  const folder = path.join(ROOT, '.node', name + '-' + pin.version)
  const binary = path.join(
    folder,
    'node_modules',
    name,
    'bin',
    os.platform() === 'win32' ? 'node.exe' : 'node',
  )
  if (!fs.existsSync(binary)) fetchNode(name, pin, folder)
  return binary
}

function fetchNode(name, pin, folder) {
  say('Node.js ' + process.versions.node + ' is too old; getting ' + pin.version + ' from npm …')
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'tollgate-node-'))
  const packed = runNpm(
    process.execPath,
    ['pack', name + '@' + pin.version, '--pack-destination', temporary, '--silent'],
    {},
  )
  const files = fs.readdirSync(temporary)
  if (packed.status !== 0 || files.length !== 1)
    fail('npm could not fetch ' + name + ':\n' + (packed.stderr || ''))
  const tarball = path.join(temporary, files[0])
  const hash =
    'sha512-' + crypto.createHash('sha512').update(fs.readFileSync(tarball)).digest('base64')
  if (hash !== pin.integrity)
    fail('the downloaded ' + files[0] + ' is not the pinned one; nothing was installed.')
  const staging = folder + '.' + process.pid
  fs.mkdirSync(staging, { recursive: true })
  fs.writeFileSync(path.join(staging, 'package.json'), '{"private":true}\n')
  const installed = runNpm(
    process.execPath,
    [
      'install',
      '--prefix',
      staging,
      '--no-save',
      '--no-package-lock',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      tarball,
    ],
    { cwd: staging },
  )
  if (installed.status !== 0)
    fail('npm could not unpack ' + files[0] + ':\n' + (installed.stderr || ''))
  if (fs.existsSync(folder)) fs.rmSync(staging, { recursive: true, force: true })
  else fs.renameSync(staging, folder)
  fs.rmSync(temporary, { recursive: true, force: true })
}

/** Installs what the lockfile says, once per lockfile: `run` without development dependencies, `all` with them. */
function install(node, mode) {
  const lockfile = fs.readFileSync(path.join(ROOT, 'package-lock.json'))
  const wanted = crypto.createHash('sha256').update(lockfile).digest('hex')
  const marker = path.join(ROOT, 'node_modules', '.tollgate-install')
  const present = fs.existsSync(marker) ? fs.readFileSync(marker, 'utf8').split(' ') : []
  if (present[0] === wanted && (present[1] === 'all' || present[1] === mode)) return
  // A developer's checkout keeps its development dependencies.
  if (fs.existsSync(path.join(ROOT, 'node_modules', 'typescript'))) mode = 'all'
  say(mode === 'all' ? 'installing all dependencies …' : 'installing dependencies …')
  // Not `npm ci`: it refuses a lockfile without the optional binaries of other platforms that a registry may not carry.
  const args = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  if (mode === 'run') args.push('--omit=dev')
  const result = runNpm(node, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (result.status !== 0) fail('npm install failed.')
  fs.writeFileSync(marker, wanted + ' ' + mode)
}

function main() {
  const args = process.argv.slice(2)
  let mode = null
  if (args[0] && args[0].indexOf('--install=') === 0) mode = args.shift().slice('--install='.length)
  const script = args.shift()
  if (!script) fail('usage: node scripts/with-node.cjs [--install=run|all] SCRIPT [ARGS…]')
  const node = findNode()
  if (mode) install(node, mode)
  const environment = Object.assign({}, process.env)
  environment.PATH = path.dirname(node) + path.delimiter + (process.env.PATH || '')
  // A young generation of this size spares a busy gateway a third of its garbage collection.
  const nodeArgs = [
    '--disable-warning=ExperimentalWarning',
    '--max-semi-space-size=64',
    path.join(ROOT, script),
  ].concat(args)
  const child = childProcess.spawn(node, nodeArgs, { stdio: 'inherit', env: environment })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  signals.forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal)
    })
  })
  child.on('exit', function (code, signal) {
    if (signal) {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    } else process.exit(code)
  })
}

main()
