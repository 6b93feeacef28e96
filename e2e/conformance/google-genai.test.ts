import { conformance } from './suite.ts'

conformance('google-genai.test.ts')
