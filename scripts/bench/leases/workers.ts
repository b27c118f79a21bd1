/** `count` workers until the time is up; how many acts each second, and how long each took, ms. */
export async function many(count: number, seconds: number, act: (worker: number, turn: number) => Promise<void>): Promise<{ perSecond: number; times: number[] }> {
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  const times: number[] = []
  await Promise.all(Array.from({ length: count }, async (_, worker) => {
    for (let turn = 0; performance.now() < endMs; turn++) {
      const atMs = performance.now()
      await act(worker, turn)
      times.push(performance.now() - atMs)
    }
  }))
  return { perSecond: times.length / ((performance.now() - startMs) / 1000), times }
}
