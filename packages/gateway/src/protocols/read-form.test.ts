import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../errors/gateway-error.ts'
import { applyEdits } from '../lib/byte-edits.ts'
import { IMAGE_EDITS } from './openai-chat/media/images.ts'
import { readForm, readFormCount } from './read-form.ts'

const B = 'bound'

function part(head: string, content: string): string {
  return `--${B}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${content}\r\n`
}

const MODEL = part('name="model"', 'm')
const END = `--${B}--\r\n`

function read(text: string): ReturnType<typeof readForm> {
  return readForm(Buffer.from(text), B)
}

/** What the platform's own parser finds: another one than ours. Null: it refuses. */
async function platformFields(
  body: Buffer,
): Promise<ReadonlyMap<string, readonly unknown[]> | null> {
  try {
    const headers = { 'content-type': `multipart/form-data; boundary=${B}` }
    const form = await new Response(new Uint8Array(body), { headers }).formData()
    return new Map([...form.keys()].map((name) => [name, form.getAll(name)]))
  } catch {
    return null
  }
}

describe('readForm', () => {
  it('reads the model, its place, and what is spent', () => {
    const text = MODEL + part('name="stream"', 'true') + part('name="n"', '3') + END
    const form = read(text)
    expect(form).toMatchObject({ model: 'm', stream: true })
    expect(text.slice(form.modelSpan.start, form.modelSpan.end)).toBe('m')
    expect(readFormCount(form, 'n', 10)).toBe(3)
    expect(readFormCount(form, 'n', 10)).toBe(3)
  })

  it.each(['0', '-1', '1.5', '1e3', '', ' 1', '11'])('refuses %j images', (count) => {
    const form = read(MODEL + part('name="n"', count) + END)
    expect(() => readFormCount(form, 'n', 10)).toThrow(GatewayError)
  })

  it('is as clients of other languages write it', () => {
    const dotnet =
      `--${B}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n` +
      part("name=file; filename=a.mp3; filename*=utf-8''a.mp3", 'x')
    expect(read(dotnet + END).model).toBe('m')
    const okHttp = `--${B}\r\nContent-Disposition: form-data; name="model"\r\nContent-Length: 1\r\n\r\nm\r\n`
    expect(read(okHttp + END).model).toBe('m')
  })

  const BREAKS = [
    `--${B}`,
    `--${B}--`,
    '--',
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    ' ',
    '"',
    '\\',
    ';',
    '=',
    'x',
  ]
  const HEADS = [
    'Content-Disposition: form-data',
    '; name="model"',
    '; name="stream"',
    '; filename="f"',
  ]
  const WORDS = [
    'name=model',
    'other',
    'true',
    'Content-Type: text/plain',
    'model',
    '; NAME="model"',
  ]
  const PARTS = [MODEL, part('name="model"', 'other'), part('name="file"; filename="f"', 'x'), END]
  const PIECES = [BREAKS, HEADS, WORDS, PARTS].flat()

  it('takes no form in which another parser finds another model', async () => {
    let both = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }),
        fc.nat({ max: 200 }),
        async (pieces, at) => {
          const form = MODEL + part('name="file"; filename="a.mp3"', 'abc') + END
          const cut = at % form.length
          const body = Buffer.from(form.slice(0, cut) + pieces.join('') + form.slice(cut))
          const own = tryRead(body)
          if (own === null) return
          const fields = await platformFields(body)
          // A form that it refuses reaches nobody.
          if (fields === null) return
          both++
          expect(fields.get('model')).toEqual([own.model])
          expect(fields.get('stream') ?? ['false']).toEqual([String(own.stream)])
        },
      ),
      { numRuns: 5000 },
    )
    expect(both).toBeGreaterThan(50)
  })

  it('renames the model and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 40 }), async (prompt) => {
        const text = part('name="prompt"', prompt) + MODEL + part('name="image"; filename="f"', 'x')
        const body = Buffer.from(text + END)
        const envelope = IMAGE_EDITS.readForm?.(body, B)
        const edit = envelope && IMAGE_EDITS.renameModel(envelope, 'vendor/real')
        if (edit === undefined || edit === null) throw new Error('no edit')
        const renamed = applyEdits(body, [edit])
        expect(renamed.toString()).toBe(
          body.toString().replace(MODEL, part('name="model"', 'vendor/real')),
        )
        expect((await platformFields(renamed))?.get('model')).toEqual(['vendor/real'])
      }),
    )
  })
})

function tryRead(body: Buffer): ReturnType<typeof readForm> | null {
  try {
    return readForm(body, B)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return null
    throw thrown
  }
}
