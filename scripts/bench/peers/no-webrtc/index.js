const unavailable = () => { throw new Error('WebRTC is left out of the benchmarks') }
export const webRTC = unavailable
export const webRTCDirect = unavailable
