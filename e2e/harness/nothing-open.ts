import type { Admin } from './admin.ts'
import { waitFor } from './wait-for.ts'

/** A call that was cut may take a moment to be settled; after that nothing may hold anything. */
export async function nothingOpen(
  admin: Admin,
): Promise<{ readonly reservations: number; readonly inFlight: number }> {
  return await waitFor('the end of all requests and reservations', async () => {
    const metrics = await admin.metrics()
    const reservations = metrics.sum('tollgate_reservations_open')
    const inFlight = metrics.sum('tollgate_requests_in_flight')
    return reservations === 0 && inFlight === 0 && { reservations, inFlight }
  })
}
