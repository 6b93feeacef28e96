import { conformance } from './suite.ts'

conformance('ai-sdk.test.ts')
