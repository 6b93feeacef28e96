import { writeFileSync } from 'node:fs'
import { conformancePage, PAGE } from './page.ts'

writeFileSync(PAGE, `${conformancePage()}\n`)
