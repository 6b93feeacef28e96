import {
  aiSdkAnthropic,
  aiSdkCompatible,
  aiSdkGoogle,
  aiSdkOpenAi,
  aiSdkOpenAiChat,
} from './clients/ai-sdk.ts'
import { conformance } from './suite.ts'

conformance([aiSdkOpenAi, aiSdkOpenAiChat, aiSdkCompatible, aiSdkAnthropic, aiSdkGoogle])
