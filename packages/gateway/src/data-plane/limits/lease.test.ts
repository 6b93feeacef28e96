import { leaseContract } from '../../testing/lease-contract.ts'
import { createMemoryGate } from './memory-gate.ts'

leaseContract('memory', createMemoryGate, 300)
