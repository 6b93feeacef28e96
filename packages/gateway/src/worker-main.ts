import { enableCompileCache } from 'node:module'
import path from 'node:path'
import { setFlagsFromString } from 'node:v8'

// As in main.ts, for the same reasons.
enableCompileCache(
  process.env['NODE_COMPILE_CACHE'] ??
    path.join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'tollgate'),
)
setFlagsFromString('--no-allocation-site-pretenuring')
const { runWorker } = await import('./compose-worker.ts')
runWorker()
