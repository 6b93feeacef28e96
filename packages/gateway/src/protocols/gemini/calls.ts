/** A call of the conversation, until a result has answered it. */
type Call = { readonly id: string; answered: boolean }

/** Calls of one name in their order; each is passed once. */
class Queue {
  private readonly calls: Call[] = []
  private at = 0

  add(call: Call): void {
    this.calls.push(call)
  }

  next(): Call | null {
    while (this.calls[this.at]?.answered === true) this.at++
    return this.calls[this.at] ?? null
  }
}

/**
 * Gives calls and results their ids. This protocol may leave them out: then results belong to calls by name and order.
 *
 * Ids that are missing follow from the call's place, so that the same conversation has the same ids in every turn.
 * Linear time, whatever a client sends.
 */
export class CallIds {
  private readonly byId = new Map<string, Call>()
  private readonly byName = new Map<string, Queue>()
  private readonly nameless = new Map<string, Queue>()
  private count = 0

  /** The id of a call. */
  call(id: string | null, name: string): string {
    const call: Call = { id: id ?? `call_${this.count}`, answered: false }
    this.count++
    this.byId.set(call.id, call)
    queueOf(this.byName, name).add(call)
    if (id === null) queueOf(this.nameless, name).add(call)
    return call.id
  }

  /** The id of the call that a result answers. An id that no call has stays; null: there is no such call. */
  result(id: string | null, name: string): string | null {
    const named = id === null ? undefined : this.byId.get(id)
    const call = named ?? queueOf(id === null ? this.byName : this.nameless, name).next()
    if (call === null) return id
    call.answered = true
    return call.id
  }
}

function queueOf(queues: Map<string, Queue>, name: string): Queue {
  let queue = queues.get(name)
  if (queue === undefined) {
    queue = new Queue()
    queues.set(name, queue)
  }
  return queue
}
