type Closer = () => Promise<void> | void

const closers: Closer[] = []

/** Runs when the test file ends, the last one first. */
export function onClose(close: Closer): void {
  closers.push(close)
}

/** For `afterAll` of every test file: nothing of it may stay behind. */
export async function closeAll(): Promise<void> {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close()
}
