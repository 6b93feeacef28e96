import { conformance } from './suite.ts'

conformance('anthropic.test.ts')
