import type { ConfigError, ConfigProblem } from '../config/config-error.ts'

/** `path (file:line): message`, one per problem. */
export function problemLines(error: ConfigError): readonly string[] {
  return error.problems.map((problem) => problemLine(error.file, problem))
}

function problemLine(file: string | null, { path, line, message }: ConfigProblem): string {
  const place = file === null ? null : `${file}${line === null ? '' : `:${line}`}`
  if (path === '') return place === null ? message : `${place}: ${message}`
  return place === null ? `${path}: ${message}` : `${path} (${place}): ${message}`
}
