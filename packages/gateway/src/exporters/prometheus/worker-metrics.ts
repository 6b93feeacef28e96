import { counterFamily, type Family, gaugeFamily } from './families.ts'

/** The processes that answer requests. */
export type WorkerFigures = {
  readonly reports: () => readonly {
    readonly slot: number
    readonly requests: number
    readonly cpuSeconds: number
    readonly residentBytes: number
  }[]
  /** Ended without being asked to. */
  readonly lost: () => number
}

/** Metrics of the other processes; what they answered is counted with everything else. Nothing while there are none. */
export function workerFamilies(read: () => WorkerFigures | null): Family {
  return {
    render() {
      const figures = read()
      if (figures === null) return ''
      const reports = figures.reports()
      const serving = gaugeFamily('tollgate_workers', 'Processes that answer requests.', () => {
        return reports.length
      })
      const lost = counterFamily('tollgate_workers_lost_total', 'Workers that ended by themselves.')
      lost.cell({}).value = figures.lost()
      const requests = counterFamily(
        'tollgate_worker_requests_total',
        'Requests that each worker has answered.',
      )
      const cpu = counterFamily('tollgate_worker_cpu_seconds_total', 'CPU of each worker.')
      const memory = counterFamily('tollgate_worker_resident_bytes', 'Memory of each worker.')
      for (const { slot, requests: answered, cpuSeconds, residentBytes } of reports) {
        requests.cell({ worker: String(slot) }).value = answered
        cpu.cell({ worker: String(slot) }).value = cpuSeconds
        memory.cell({ worker: String(slot) }).value = residentBytes
      }
      return [
        serving.render(),
        lost.render(),
        requests.render(),
        cpu.render(),
        memory.render().replace(' counter\n', ' gauge\n'),
      ].join('')
    },
  }
}
