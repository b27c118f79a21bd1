// Node 20 has no Promise.withResolvers, which a dependency of libp2p 2.10 has come to use.
Promise.withResolvers ??= function withResolvers() {
  let resolve
  let reject
  const promise = new this((a, b) => {
    resolve = a
    reject = b
  })
  return { promise, resolve, reject }
}
