import { conformance } from './suite.ts'

conformance('langchain.test.ts')
