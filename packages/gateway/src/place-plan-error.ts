import { ConfigError, formatPath, type PathSegment } from './config/config-error.ts'
import { findConfigFile, type LoadOptions } from './config/load-config.ts'
import { readSource } from './config/read-source.ts'
import { readFileSync } from 'node:fs'
import { PlanError } from './plan/plan-error.ts'

/** A configuration that cannot run is reported as one that cannot be read: with the place in the file. */
export function placePlanError(thrown: unknown, load: LoadOptions): unknown {
  if (!(thrown instanceof PlanError)) return thrown
  const file = findConfigFile(load)
  const line = file === null ? null : lineOf(file, thrown.at)
  return new ConfigError(line === null ? null : file, [
    { path: thrown.at, line, column: null, message: thrown.problem },
  ])
}

/** Null: it does not stand in the file; it comes from the store, the environment or a default. */
function lineOf(file: string, at: string): number | null {
  try {
    const read = readSource(readFileSync(file, 'utf8'), file)
    const path = segmentsOf(at)
    if (!read.ok || path.length === 0) return null
    const { line } = read.source.positionOf(path, false)
    return line
  } catch {
    return null
  }
}

/** The inverse of `formatPath`; empty when it is none of its paths. */
function segmentsOf(at: string): readonly PathSegment[] {
  const parts = [...at.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([A-Za-z0-9_@:/*-]+)/g)]
  const path = parts.map(([, index, quoted, name]): PathSegment => {
    if (index !== undefined) return Number(index)
    if (quoted === undefined) return name ?? ''
    const text: unknown = JSON.parse(quoted)
    return typeof text === 'string' ? text : ''
  })
  return formatPath(path) === at ? path : []
}
