import { googleGenai } from './clients/google-genai.ts'
import { conformance } from './suite.ts'

conformance([googleGenai])
