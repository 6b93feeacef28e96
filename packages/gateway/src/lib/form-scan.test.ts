import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FormScanError, scanForm } from './form-scan.ts'

const B = 'x-1'

function form(...parts: readonly string[]): Buffer {
  return Buffer.from(`${parts.map((part) => `--${B}\r\n${part}\r\n`).join('')}--${B}--\r\n`)
}

function field(name: string, value: string, more = ''): string {
  return `Content-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}`
}

function contents(bytes: Buffer): readonly (readonly [string, string])[] {
  return scanForm(bytes, B).map(({ name, start, end }) => [
    name,
    bytes.toString('utf8', start, end),
  ])
}

describe('scanForm', () => {
  it('finds fields and files, empty ones too', () => {
    const bytes = form(
      field('model', 'm'),
      field('prompt', ''),
      field('file', 'a\r\n\r\nb', '; filename="a.mp3"\r\nContent-Type: audio/mpeg'),
    )
    expect(contents(bytes)).toEqual([
      ['model', 'm'],
      ['prompt', ''],
      ['file', 'a\r\n\r\nb'],
    ])
    expect(scanForm(bytes, B).map(({ file }) => file)).toEqual([false, false, true])
    expect(scanForm(bytes, B)[2]?.contentType).toBe('audio/mpeg')
  })

  it('takes a last boundary without a line end, and no parts', () => {
    expect(scanForm(Buffer.from(`--${B}--`), B)).toEqual([])
  })

  it.each([
    ['bare names', 'Content-Disposition: form-data; name=model\r\n\r\nm'],
    ['other cases', 'content-DISPOSITION: Form-Data;NAME="model"\r\n\r\nm'],
    ['brackets', field('image[]', 'i', '; filename="a;b=c.png"')],
    ['a path of Windows', field('file', 'i', '; filename="C:\\music\\a.mp3"')],
    ['names in UTF-8', field('file', 'i', `; filename="\u00e9.mp3"; filename*=UTF-8''%C3%A9.mp3`)],
    ['lines that only look like a boundary', field('file', `\r\n--${B.slice(0, -1)}\r\n`)],
  ])('takes %s', (_, part) => {
    expect(scanForm(form(part), B)).toHaveLength(1)
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text before the first boundary', Buffer.concat([Buffer.from('\r\n'), form(field('a', 'b'))])],
    ['text behind the last boundary', Buffer.concat([form(field('a', 'b')), Buffer.from('x')])],
    ['a second form', Buffer.concat([form(field('a', 'b')), form(field('model', 'other'))])],
    ['another boundary', Buffer.from('--y\r\n--y--')],
    ['a cut boundary', form(field('a', 'b')).subarray(0, -6)],
    ['a boundary with a tail', Buffer.from(`--${B} \r\n${field('a', 'b')}\r\n--${B}--`)],
    ['a boundary inside a line', form(field('a', `x--${B}`))],
    ['a boundary after a bare line feed', form(field('a', `x\n--${B}\r\n${field('model', 'm')}`))],
    ['a boundary that goes on', form(field('a', `x\r\n--${B}2`))],
    ['a boundary inside a head', form(`X: --${B}\r\n${field('a', 'b')}`)],
    ['a head without an end', form('Content-Disposition: form-data; name="a"')],
    ['a head that is too large', form(`X: ${'a'.repeat(9000)}\r\n${field('a', 'b')}`)],
    ['a head that only line feeds end', form('Content-Disposition: form-data; name="a"\n\nb')],
    ['no head', form('\r\nb')],
    ['a folded header', form('Content-Disposition: form-data;\r\n name="a"\r\n\r\nb')],
    ['a header twice', form(`Content-Disposition: form-data; name="b"\r\n${field('a', 'b')}`)],
    ['a name twice', form(field('a', 'b', '; name="model"'))],
    ['an extended name', form(field('a', 'b', "; name*=utf-8''model"))],
    ['an escaped quote', form(field('a', 'b', '; filename="x\\"; name=\\"model"'))],
    ['a line break in a name', form(field('a\r\nX: y', 'b'))],
    ['a lone carriage return in a name', form(field('a\rb', 'b'))],
    ['a zero byte in a name', form(field('a\0', 'b'))],
    ['an encoded name', form(field('mod%65l', 'b'))],
    ['no name', form('Content-Disposition: form-data\r\n\r\nb')],
    ['a space before a semicolon', form('Content-Disposition: form-data ; name="a"\r\n\r\nb')],
    ['an empty name', form(field('', 'b'))],
    ['a long name', form(field('a'.repeat(200), 'b'))],
    ['another disposition', form('Content-Disposition: attachment; name="a"\r\n\r\nb')],
    ['base64', form(`Content-Transfer-Encoding: base64\r\n${field('a', 'b')}`)],
    ['a form inside', form(`Content-Type: multipart/mixed; boundary=z\r\n${field('a', 'b')}`)],
  ])('refuses %s', (_, bytes) => {
    expect(() => scanForm(bytes, B)).toThrow(FormScanError)
  })

  it('refuses 10,000 parts, and reads a hostile form in linear time', () => {
    const many = form(...Array.from({ length: 10_000 }, (_, i) => field(`f${i}`, '')))
    expect(() => scanForm(many, B)).toThrow('too many parts')
    const near = Buffer.from(`--${B}\r\n${field('a', `\r\n--x-`.repeat(2_000_000))}\r\n--${B}--`)
    const startedMs = performance.now()
    expect(scanForm(near, B)).toHaveLength(1)
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })

  it('refuses every cut of a form', () => {
    const bytes = form(field('model', 'm'), field('file', 'abc', '; filename="a"'))
    for (let end = 0; end < bytes.length - 2; end++) {
      expect(() => scanForm(bytes.subarray(0, end), B), `${end}`).toThrow(FormScanError)
    }
  })

  it('gives every content back', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (files) => {
        const chunks = files.flatMap((bytes, i) => [
          Buffer.from(`--${B}\r\n${field(`f${i}`, '', '; filename="a"')}`),
          Buffer.from(bytes),
          Buffer.from('\r\n'),
        ])
        const body = Buffer.concat([...chunks, Buffer.from(`--${B}--\r\n`)])
        const read = scanForm(body, B).map(({ start, end }) => body.toString('hex', start, end))
        expect(read).toEqual(files.map((bytes) => Buffer.from(bytes).toString('hex')))
      }),
    )
  })
})
