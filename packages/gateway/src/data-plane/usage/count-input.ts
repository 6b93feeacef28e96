import type { TokenizerId } from '../../contracts/tokenizer.ts'
import type { InputParts } from '../../contracts/protocol.ts'
import type { PromptsPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { known, type RequestContext, type RouteContext } from '../pipeline/request-context.ts'

/** Above this, counting takes longer than it is worth, and bytes are the bound. Characters. */
const MAX_COUNTED_CHARS = 256 * 1024
/** Room for what a provider's template adds beyond its documented scaffolding. Tokens. */
const TEMPLATE_TOKENS = 16

/**
 * A sound upper bound of the request's input tokens, kept on the context.
 *
 * Exact where the model's tokenizer is known; else UTF-8 bytes, since no byte-level vocabulary makes more tokens than bytes.
 */
export function boundInput(ctx: RouteContext): number | Promise<number> {
  if (ctx.inputTokens !== null) return ctx.inputTokens
  if (ctx.statedInputTokens !== null) {
    return keep(ctx, ctx.statedInputTokens + (largestPrompts(ctx)?.boundTokens ?? 0))
  }
  const parts = partsOf(ctx)
  const tokenizer = sharedTokenizer(ctx)
  const extra = parts.overheadTokens + parts.mediaTokens + TEMPLATE_TOKENS
  if (tokenizer === null || textChars(parts) > MAX_COUNTED_CHARS) {
    return keep(ctx, textBytes(parts) + extra)
  }
  const counted = ctx.dataPlane.tokenCounter.count(tokenizer, parts.texts)
  return counted instanceof Promise
    ? counted.then((tokens) => keep(ctx, tokens + extra))
    : keep(ctx, counted + extra)
}

/** What a text that is too long to be counted has at least, as far as any text was seen. Bytes to a token. */
const MOST_BYTES_PER_TOKEN = 6
/** The likeliest tokenizer of a model whose own is not known. */
const USUAL_TOKENIZER: TokenizerId = 'o200k_base'

type Counts = Partial<Record<TokenizerId, number>>

/**
 * The likeliest input count for each tokenizer of these targets; where a model's own is not known, the usual one's. Not a
 * bound: a request is not refused for a model because nobody can count its tokens exactly.
 */
export function countFor(
  ctx: RouteContext,
  targets: readonly TargetPlan[],
): Counts | Promise<Counts> {
  const parts = partsOf(ctx)
  const extra = parts.overheadTokens + parts.mediaTokens
  const isLong = textChars(parts) > MAX_COUNTED_CHARS
  const long = isLong ? Math.ceil(textBytes(parts) / MOST_BYTES_PER_TOKEN) + extra : 0
  const counts: Counts = {}
  const waits: Promise<void>[] = []
  for (const id of new Set(targets.map(({ tokenizer }) => tokenizer ?? USUAL_TOKENIZER))) {
    const counted = isLong ? long : ctx.dataPlane.tokenCounter.count(id, parts.texts)
    if (counted instanceof Promise) {
      waits.push(counted.then((tokens) => void (counts[id] = tokens + extra)))
    } else {
      counts[id] = isLong ? counted : counted + extra
    }
  }
  return waits.length === 0 ? counts : Promise.all(waits).then(() => counts)
}

/** The likeliest input count, for records of calls whose usage never came. Not a bound. */
export async function estimateInput(ctx: RequestContext): Promise<number> {
  const parts = partsOf(ctx)
  const extra = parts.overheadTokens + parts.mediaTokens
  if (textChars(parts) > MAX_COUNTED_CHARS) return Math.ceil(textBytes(parts) / 4) + extra
  const tokenizer = (ctx.target ?? ctx.targets[0])?.tokenizer ?? 'o200k_base'
  return (await ctx.dataPlane.tokenCounter.count(tokenizer, parts.texts)) + extra
}

/** Output tokens of an answer whose usage never came: every frame that carried output holds at least one. */
export async function estimateOutput(ctx: RequestContext): Promise<number> {
  const { seenOutput } = ctx
  if (seenOutput === null || (seenOutput.frames === 0 && seenOutput.text === '')) return 0
  const tokenizer = ctx.target?.tokenizer ?? 'o200k_base'
  const counted = await ctx.dataPlane.tokenCounter.count(tokenizer, [seenOutput.text])
  return Math.max(seenOutput.frames, counted)
}

function partsOf(ctx: RouteContext): InputParts {
  ctx.input ??= withPrompts(ctx, ctx.endpoint.readInput(known(ctx.envelope, 'envelope')))
  return ctx.input
}

function withPrompts(ctx: RouteContext, parts: InputParts): InputParts {
  const prompts = largestPrompts(ctx)
  if (prompts === null) return parts
  return {
    ...parts,
    texts: [...parts.texts, ...prompts.texts],
    overheadTokens: parts.overheadTokens + prompts.overheadTokens,
  }
}

/** What the policy adds to the request; of several candidates, the one to which it adds most. */
export function largestPrompts(ctx: RouteContext): PromptsPlan | null {
  if (ctx.endpoint.addPrompts === null) return null
  let largest: PromptsPlan | null = null
  for (const { prompts } of ctx.targets) {
    if (prompts === null) continue
    if (largest === null || prompts.boundTokens > largest.boundTokens) largest = prompts
  }
  return largest
}

/** Null unless all candidates count alike: the bound must hold for whichever answers. */
function sharedTokenizer(ctx: RouteContext): TokenizerId | null {
  const [first] = ctx.targets
  if (first === undefined || first.tokenizer === null) return null
  return ctx.targets.every((target) => target.tokenizer === first.tokenizer)
    ? first.tokenizer
    : null
}

function keep(ctx: RouteContext, tokens: number): number {
  ctx.inputTokens = tokens
  return tokens
}

function textChars(parts: InputParts): number {
  let chars = 0
  for (const text of parts.texts) chars += text.length
  return chars
}

function textBytes(parts: InputParts): number {
  let bytes = 0
  for (const text of parts.texts) bytes += Buffer.byteLength(text)
  return bytes
}
