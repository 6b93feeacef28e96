import { conformance } from './suite.ts'

conformance('openai.test.ts')
