import { execFileSync, spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { ranWith } from './testing/fake-deps.ts'

async function script(shell: string): Promise<string> {
  const { code, out } = await ranWith(['completion', shell])
  expect(code).toBe(0)
  return out
}

/** Reads a script without running it. */
const CHECKS = [
  ['bash', '-n'],
  ['zsh', '-n'],
  ['fish', '--no-execute'],
] as const

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ['--version']).error === undefined
}

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('knows commands, aliases and flags in %s', async (shell) => {
    const text = await script(shell)
    for (const word of ['key create', 'token ls', 'rotate-every', 'completion', 'first-run']) {
      expect(text).toContain(word)
    }
    expect(text).not.toContain('vault')
  })

  for (const [shell, flag] of CHECKS) {
    it.skipIf(!isInstalled(shell))(`is correct for ${shell}`, async () => {
      const { status, stderr } = spawnSync(shell, [flag], {
        input: await script(shell),
        encoding: 'utf8',
      })
      expect([status, stderr]).toEqual([0, ''])
    })
  }

  it.skipIf(!isInstalled('bash')).each([
    [['tollgate', 'ke'], ['key']],
    [['tollgate', 'key', 're'], ['revoke']],
    [['tollgate', '--dir', 'd', 'token', 'rotate', '--gr'], ['--grace']],
    [
      ['tollgate', 'config', ''],
      ['check', 'show', 'schema', 'reload', 'export', 'import', '--help'],
    ],
  ])('completes %j in bash', async (words, wanted) => {
    const array = words.map((word) => `'${word}'`).join(' ')
    const call = `COMP_WORDS=(${array}); COMP_CWORD=${words.length - 1}; _tollgate; printf '%s\\n' "\${COMPREPLY[@]}"`
    const out = execFileSync('bash', ['-c', `${await script('bash')}\n${call}`], {
      encoding: 'utf8',
    })
    expect(out.trimEnd().split('\n')).toEqual(expect.arrayContaining(wanted))
  })

  it('refuses a shell that it does not know', async () => {
    const { code, err } = await ranWith(['completion', 'tcsh'])
    expect([code, err]).toEqual([2, expect.stringContaining('bash, zsh, fish')])
  })
})
