import { gateContract } from '../../testing/gate-contract.ts'
import { createMemoryGate } from './memory-gate.ts'

gateContract('memory', createMemoryGate)
