import { langchainChat, langchainResponses } from './clients/langchain.ts'
import { conformance } from './suite.ts'

conformance([langchainChat, langchainResponses])
