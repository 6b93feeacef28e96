/** How a provider wants its credential. Only what this build can send; anything else is refused when the plan is compiled. */
export type AuthStyle =
  | { readonly kind: 'bearer' }
  /** The credential alone in a header, such as `x-api-key`. */
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'none' }
  /**
   * AWS Signature V4 for a service. The credential is `id:secret` or `id:secret:session token`; of any other form it is an
   * API key, and sent as a bearer.
   */
  | { readonly kind: 'sigv4'; readonly service: string }
  /**
   * An access token as a bearer. The credential is a token, or the JSON of an account that tokens are asked for with.
   * `scope`: what they are for.
   */
  | { readonly kind: 'google-oauth'; readonly scope: string }
  /** Known, but not built in this version; `name` says which (`sigv4`, `oauth`). */
  | { readonly kind: 'unavailable'; readonly name: string }

/**
 * What an upstream's failure means. See docs/reference/routing.md, "Error classes".
 *
 * `client`: the request is at fault; no other target would take it. The others may be tried elsewhere.
 */
export type FailureClass =
  | 'client'
  | 'auth'
  | 'rate_limited'
  | 'quota'
  | 'overloaded'
  | 'transient'
  | 'timeout'
  /** The request is larger than the model's context. */
  | 'context_overflow'
  /** The vendor's own rules refused what was said. */
  | 'content_filter'

/** One entry of the catalogue: facts about a vendor, as data. Every fact carries its source in the entry's file. */
export type ProviderFacts = {
  readonly id: string
  readonly title: string
  /** May hold `{resource}`, `{region}` … which the operator fills under `params`. */
  readonly baseUrl: string
  /** Protocols that this vendor speaks, the preferred one first. */
  readonly protocols: readonly string[]
  readonly auth: AuthStyle
  /** Environment variable that holds the credential; null for keyless servers. */
  readonly credentialEnv: string | null
  /** Variables that make the credential together, joined by ":", where `credentialEnv` is not set. */
  readonly credentialParts?: {
    readonly needed: readonly string[]
    readonly optional: readonly string[]
  }
  /** Variable that names the file of the credential, where none of the others is set. */
  readonly credentialFileEnv?: string
  /** Base URLs for single values of a parameter, such as `region=global`, instead of `baseUrl`. */
  readonly baseUrls?: Readonly<Record<string, string>>
  /** Environment variable that overrides the base URL in the vendor's own tools. */
  readonly baseUrlEnv: string | null
  /** Sent on every call unless the client sends its own. Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Added to every URL, such as Azure's `api-version`. */
  readonly query: Readonly<Record<string, string>>
  /** Upstream path per endpoint where it is not the protocol's own; `{model}` is filled from the target. */
  readonly paths: Readonly<Record<string, string>>
  /** A server on this machine or network: special-use addresses may be dialled. */
  readonly allowPrivate: boolean
  /** Statuses whose meaning differs from the general table in data-plane/routing/classify-failure.ts. */
  readonly failures: Readonly<Record<number, FailureClass>>
  readonly onClientAbort: 'abort' | 'drain'
  /** The member by which this vendor caps output, when it is not the protocol's own (`max_tokens`). */
  readonly outputCapMember?: string
  /** True: the vendor refuses `stream_options`, so it must not be asked for usage on a stream; it reports it unasked or never. */
  readonly refusesUsageOption?: boolean
  /** `null`: served. A text: known, but refused with this reason until its issue lands. */
  readonly unavailable: string | null
  /** Model ids for `provider list` and discovery; not a limit. */
  readonly models: readonly string[]
}
