import type { Conversation, StopReason } from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import type { Usage } from '../../contracts/usage.ts'
import { writeUsage } from './usage.ts'
import { writeChoice, writeFormat, writeTool } from './write-tools.ts'

type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed'

/** What changes between the statements of one response. `output`: JSON of its items. */
type State = {
  readonly status: Status
  readonly output: readonly string[]
  readonly usage: Usage | null
  readonly reason: string | null
  readonly error: { readonly code: string; readonly message: string } | null
}

/** The echoes of the request, of which losses were listed when it was read. */
const NO_LOSSES = { losses: { add() {} } }

/** Why an answer is incomplete; null: it is whole. `pause` has no twin: the answer ends where it ends. */
export function incompleteReason(stop: StopReason, hasRefusal: boolean): string | null {
  switch (stop) {
    case 'length':
    case 'context_overflow':
      return 'max_output_tokens'
    case 'content_filter':
      return 'content_filter'
    case 'refusal':
      return hasRefusal ? null : 'content_filter'
    case 'end':
    case 'stop_sequence':
    case 'tool_use':
    case 'pause':
    case 'malformed_call':
    case 'other':
      return null
  }
}

/** The response object of one call, which a stream states three times: what it echoes is written once. */
export class ResponseObject {
  private readonly head: string
  private readonly echo: string
  private readonly createdAt: number

  constructor({ conversation, requestId, createdAtMs }: AnswerOptions) {
    this.createdAt = Math.floor(createdAtMs / 1000)
    this.head = `{"id":${JSON.stringify(`resp_${requestId}`)},"object":"response","created_at":${this.createdAt}`
    this.echo = JSON.stringify(echoOf(conversation)).slice(1)
  }

  json({ status, output, usage, reason, error }: State): string {
    const details = reason === null ? 'null' : `{"reason":"${reason}"}`
    const counts = usage === null ? null : writeUsage(usage)
    const completedAt = status === 'completed' ? this.createdAt : null
    return (
      `${this.head},"status":"${status}","completed_at":${completedAt},"error":${JSON.stringify(error)}` +
      `,"incomplete_details":${details},"output":[${output.join(',')}],"usage":${JSON.stringify(counts)},${this.echo}`
    )
  }
}

function echoOf(conversation: Conversation): Record<string, unknown> {
  const { sampling, reasoning, tools, toolChoice } = conversation
  return {
    background: false,
    instructions: null,
    max_output_tokens: conversation.maxOutputTokens,
    metadata: conversation.metadata,
    model: conversation.model,
    parallel_tool_calls: conversation.parallelTools ?? true,
    previous_response_id: null,
    prompt_cache_key: conversation.cacheKey,
    reasoning: {
      effort: reasoning?.effort ?? null,
      summary: reasoning?.shown === true ? 'auto' : null,
    },
    safety_identifier: conversation.user,
    service_tier: conversation.serviceTier ?? 'default',
    store: false,
    temperature: sampling.temperature,
    text: { format: writeFormat(conversation.output) },
    tool_choice: toolChoice === null ? 'auto' : writeChoice(toolChoice, tools),
    tools: tools.map((tool) => writeTool(tool, NO_LOSSES)),
    top_p: sampling.topP,
    truncation: 'disabled',
  }
}
