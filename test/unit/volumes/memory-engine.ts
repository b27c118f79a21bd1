import type { OpenDevice, VolumeEngine, VolumeFigures, VolumeIdentity, VolumeLease } from '../../../src/volumes/index.js'
import { MemoryDevice } from '../nbd/memory-device.js'

/** An engine of which only the bookkeeping is real: what it was asked to do, and bytes in memory. */
export class MemoryEngine implements VolumeEngine {
  readonly devices = new Map<string, MemoryDevice>()
  readonly retired: string[] = []
  readonly dropped: string[] = []
  readonly here = new Set<string>()
  readonly sizes = new Map<string, number>()
  opened = 0
  closed = 0
  failOpen: Error | undefined

  async open({ id, sizeBytes }: VolumeIdentity): Promise<OpenDevice> {
    if (this.failOpen !== undefined) throw this.failOpen
    const device = this.devices.get(id) ?? new MemoryDevice(sizeBytes)
    this.devices.set(id, device)
    this.here.add(id)
    this.opened++
    const close = async (): Promise<void> => {
      this.closed++
    }
    return {
      get sizeBytes() { return device.sizeBytes },
      readOnly: device.readOnly, failed: undefined, blockBytes: device.blockBytes, close,
      read: device.read.bind(device), write: device.write.bind(device), flush: device.flush.bind(device), trim: device.trim.bind(device),
      writeZeroes: device.writeZeroes.bind(device), extents: device.extents.bind(device), prefetch: device.prefetch.bind(device),
    }
  }

  resized(id: string, sizeBytes: number): void {
    this.sizes.set(id, sizeBytes)
  }

  async leases(): Promise<VolumeLease[]> {
    return []
  }

  async usedBytes(): Promise<number> {
    return 0
  }

  async retire(id: string): Promise<void> {
    this.retired.push(id)
  }

  async dropLocal(id: string): Promise<void> {
    this.dropped.push(id)
    this.here.delete(id)
  }

  async volumesHere(): Promise<string[]> {
    return [...this.here]
  }

  async drain(): Promise<{ remaining: number }> {
    return { remaining: 0 }
  }

  figures(): VolumeFigures {
    return {}
  }

  async run(): Promise<void> {
    return
  }
}
