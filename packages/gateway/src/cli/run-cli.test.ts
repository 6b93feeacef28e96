import { describe, expect, it } from 'vitest'
import { ConfigError } from '../config/config-error.ts'
import { ranWith } from './testing/fake-deps.ts'

describe('exit codes', () => {
  it.each([
    ['--version', 0],
    ['--help', 0],
    ['help', 0],
    ['help key', 0],
    ['key help list', 0],
    ['version --json', 0],
    ['', 2],
    ['key', 2],
    ['kee', 2],
    ['key create', 2],
    ['key list --nope', 2],
    ['key list --state gone', 2],
    ['serve --port 70000', 2],
    ['limit grant a --value b --amount 0', 2],
    ['run', 2],
    ['run --provider opnai -- true', 2],
    ['key get', 2],
    ['key get key_1 --id key_1', 2],
    ['key update key_1', 2],
    ['key update key_1 --replace', 2],
    ['ledger export --csv --json', 2],
    ['init --agent clod', 2],
    ['vault', 1],
    ['start --help', 1],
    ['config export --all', 1],
    ['policy test a b', 2],
    ['policy test --policy - --body -', 2],
    ['policy test --input-tokens many', 2],
  ])('`tollgate %s` ends with %i', async (line, code) => {
    const ran = await ranWith(line.split(' ').filter((word) => word !== ''))
    expect(ran.code).toBe(code)
    expect(ran.out !== '' || ran.err !== '').toBe(true)
  })

  it.each([
    ['kee', 'Did you mean key?'],
    ['run --provider opnai -- true', 'Did you mean "openai"?'],
    ['vault put x', 'vault is not available in this version.'],
  ])('`tollgate %s` says %s', async (line, message) => {
    const { err, out } = await ranWith(line.split(' '))
    expect(err).toContain(message)
    expect([err.startsWith('tollgate: '), out]).toEqual([true, ''])
  })
})

describe('config check', () => {
  const PROBLEMS = new ConfigError('/etc/t.yaml', [
    { path: 'server.prot', line: 2, column: 3, message: 'unknown key "prot".' },
    { path: '', line: null, column: null, message: 'is empty.' },
  ])
  const wrong = { checkConfig: () => Promise.reject(PROBLEMS) }

  it('names every problem with its place on a line of its own', async () => {
    expect(await ranWith(['config', 'check'], wrong)).toEqual({
      code: 2,
      out: '',
      err: 'tollgate: server.prot (/etc/t.yaml:2): unknown key "prot".\ntollgate: /etc/t.yaml: is empty.\n',
    })
  })

  it('prints one document with --json', async () => {
    const { code, out, err } = await ranWith(['config', 'check', '--json'], wrong)
    expect([code, err]).toEqual([2, ''])
    expect(JSON.parse(out)).toEqual({
      ok: false,
      file: '/etc/t.yaml',
      problems: PROBLEMS.problems,
      missing_secrets: [],
    })
  })

  it.each([
    [['config', 'check', 'a.yaml'], 'a.yaml'],
    [['config', 'check', '--config', 'b.yaml'], 'b.yaml'],
    [['--config', 'c.yaml', 'config', 'check'], 'c.yaml'],
  ])('%j reads %s', async (args, file) => {
    let asked: string | undefined
    await ranWith(args, {
      checkConfig(load) {
        asked = load.configPath
        return Promise.reject(PROBLEMS)
      },
    })
    expect(asked).toBe(file)
  })

  it('hints at TOLLGATE_DEBUG where something unexpected is thrown, and follows it', async () => {
    const broken = { checkConfig: () => Promise.reject(new Error('broken')) }
    const first = await ranWith(['config', 'check'], broken)
    expect([first.code, first.err]).toEqual([1, expect.stringContaining('TOLLGATE_DEBUG=1')])
    const second = await ranWith(['config', 'check'], { ...broken, env: { TOLLGATE_DEBUG: '1' } })
    expect(second.err).toContain('run-cli.test.ts')
  })
})
