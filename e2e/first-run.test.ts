import { cpSync, existsSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Child, runProcess, startProcess } from './harness/child.ts'
import { closeAll } from './harness/cleanup.ts'
import { ROOT, tempFolder } from './harness/folders.ts'

/** From `npm start` to `tollgate ready`, when everything is installed. */
const WARM_MS = 3000

const posix = process.platform !== 'win32'
if (!posix) console.log('skipped: the printed lines are for a POSIX shell')

let checkout = ''
let home = ''

/** What git knows, as a clone has it, with what is installed here. */
beforeAll(async () => {
  checkout = path.join(tempFolder(), 'tollgate')
  home = tempFolder()
  const { out } = await runProcess('git', ['ls-files', '-z'], { cwd: ROOT })
  const files = out.split('\0').filter((file) => file !== '' && existsSync(path.join(ROOT, file)))
  for (const file of files) cpSync(path.join(ROOT, file), path.join(checkout, file))
  for (const folder of ['node_modules', 'packages/gateway/node_modules']) {
    if (existsSync(path.join(ROOT, folder))) {
      symlinkSync(path.join(ROOT, folder), path.join(checkout, folder))
    }
  }
})
afterAll(closeAll)

type Started = { readonly child: Child; readonly text: string; readonly ms: number }

/** The script behind `npm start` without its install step: that one needs a network, and minutes. */
async function start(): Promise<Started> {
  const main = path.join('packages', 'gateway', 'src', 'main.ts')
  const args = ['scripts/with-node.cjs', main, 'serve', '--first-run']
  const startedMs = performance.now()
  const child = startProcess(process.execPath, [...args, '--port', '0', '--admin-port', '0'], {
    cwd: checkout,
    env: { HOME: home },
  })
  await child.line(/tollgate ready/)
  return { child, text: child.stdout(), ms: performance.now() - startedMs }
}

/** A printed line, run as it stands. */
async function paste(text: string, command: string): Promise<string> {
  const line = text.split('\n').find((one) => one.trim().startsWith(command)) ?? 'exit 9'
  const { code, out, err } = await runProcess('sh', ['-c', line], {
    cwd: home,
    env: { HOME: home },
  })
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
  return out
}

describe.skipIf(!posix)('the first minutes with a clone', () => {
  it('prints lines that work, streamed too, and does so again on the next start', async () => {
    const times: number[] = []
    const keys = new Set<string>()
    for (let i = 0; i < 3; i++) {
      const { child, text, ms } = await start()
      times.push(ms)
      keys.add(/\btkn_\w+/.exec(text)?.[0] ?? '')
      expect(text).toContain('sandbox (simulated answers')
      const whole: unknown = JSON.parse(await paste(text, 'curl -sS'))
      expect(whole).toMatchObject({
        object: 'chat.completion',
        choices: [{ finish_reason: 'stop', message: { role: 'assistant' } }],
        usage: { completion_tokens: expect.any(Number) },
      })
      const streamed = await paste(text, 'curl -N')
      expect(streamed).toMatch(/^data: \{/)
      expect(streamed.trimEnd()).toMatch(/data: \[DONE\]$/)
      const stopped = performance.now()
      expect(await child.stop()).toEqual({ code: 0, signal: null })
      expect(performance.now() - stopped).toBeLessThan(5000)
    }
    console.log(`ready after ${times.map((ms) => `${Math.round(ms)} ms`).join(', ')}`)
    expect(keys.size).toBe(3)
    expect(Math.min(...times)).toBeLessThanOrEqual(WARM_MS)
  })

  it('leaves nothing in the home folder, and nothing but its data in the checkout', async () => {
    const listed = await runProcess('ls', ['-A', home], { cwd: home })
    expect(listed.out).toBe('')
    expect(existsSync(path.join(checkout, '.tollgate', 'tollgate.db'))).toBe(true)
    const modes = await runProcess(
      'sh',
      ['-c', 'find .tollgate -type f -perm /077 ! -name .gitignore ! -name "serving.lock*"'],
      { cwd: checkout },
    )
    expect(modes.out).toBe('')
  })
})
