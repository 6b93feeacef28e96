/** Stands where only a client of this protocol could lead; the protocol has no endpoints, so there is none. */
export function notServed(): never {
  throw new TypeError('bedrock-converse is spoken to providers only')
}
