import { openAiChat } from './clients/openai-chat.ts'
import { openAiResponses } from './clients/openai-responses.ts'
import { conformance } from './suite.ts'

conformance([openAiChat, openAiResponses])
