/**
 * libp2p's queues (it-queue 1.1, under its peer store) call `Promise.withResolvers`, which is part of the language since
 * ES2024 and of Node since version 22; Node 20 gets it here, before anything of libp2p runs. Goes when Node 20 does.
 */
if (!('withResolvers' in Promise)) {
  Object.defineProperty(Promise, 'withResolvers', {
    configurable: true,
    writable: true,
    value: function withResolvers(): { promise: Promise<unknown>; resolve: (value: unknown) => void; reject: (reason: unknown) => void } {
      let resolve: (value: unknown) => void = () => undefined
      let reject: (reason: unknown) => void = () => undefined
      const promise = new Promise<unknown>((onResolve, onReject) => {
        resolve = onResolve
        reject = onReject
      })
      return { promise, resolve, reject }
    },
  })
}
