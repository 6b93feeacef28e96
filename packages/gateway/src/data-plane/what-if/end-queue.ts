/** Something that happens at a moment of virtual time. */
export type Timed = { readonly atMs: number }

/** A queue by time: the earliest first. A binary heap, because calls end in another order than they begin. */
export class EndQueue<T extends Timed> {
  readonly #heap: T[] = []

  get size(): number {
    return this.#heap.length
  }

  /** Infinity: nothing is left. */
  nextMs(): number {
    return this.#heap[0]?.atMs ?? Infinity
  }

  add(item: T): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(item)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || parent.atMs <= item.atMs) break
      heap[at] = parent
      at = above
    }
    heap[at] = item
  }

  take(): T | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined || first === last) return first
    this.#sink(last)
    return first
  }

  #sink(item: T): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let below = at * 2 + 1
      const left = heap[below]
      if (left === undefined) break
      const right = heap[below + 1]
      if (right !== undefined && right.atMs < left.atMs) below += 1
      const child = heap[below]
      if (child === undefined || child.atMs >= item.atMs) break
      heap[at] = child
      at = below
    }
    heap[at] = item
  }
}
