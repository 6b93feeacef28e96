import { anthropicMessages } from './clients/anthropic.ts'
import { conformance } from './suite.ts'

conformance([anthropicMessages])
