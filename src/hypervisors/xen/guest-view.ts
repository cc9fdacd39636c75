// A guest's memory as a hypercall sees it: checked once, here; what cannot be read is `null`, what cannot be written `false`.

import type { StructPatch, StructValue } from '../../base/struct.ts';
import type { Narrow, XenFields, XenStruct } from './abi/layout.ts';
import type { XenMemory } from './memory.ts';

export class GuestView {
  readonly wide: boolean;
  private readonly memory: XenMemory;

  constructor(memory: XenMemory, wide: boolean) {
    this.memory = memory;
    this.wide = wide;
  }

  sizeOf<F extends XenFields>(type: XenStruct<F>): number {
    return (this.wide ? type.wide : type.narrow).size;
  }

  read<F extends XenFields>(type: XenStruct<F>, gva: number): StructValue<Narrow<F>> | null {
    const layout = this.wide ? type.wide : type.narrow;
    const at = this.memory.peek(gva, layout.size);
    if (at >= 0) return layout.read(this.memory.window, at);
    const bytes = this.memory.readVirtual(gva, layout.size);
    return bytes && layout.read(viewOf(bytes), 0);
  }

  /** Writes the members of `patch` and no other byte. */
  write<F extends XenFields>(
    type: XenStruct<F>,
    gva: number,
    patch: StructPatch<Narrow<F>>,
  ): boolean {
    const layout = this.wide ? type.wide : type.narrow;
    for (const name of Object.keys(patch)) {
      const at = layout.offsetOf(name);
      const bytes = new Uint8Array(layout.size);
      // One member at a time: what lies between them may be changing under other eyes.
      layout.write(viewOf(bytes), 0, { [name]: patch[name] } as StructPatch<Narrow<F>>);
      if (!this.memory.writeVirtual(gva + at, bytes.subarray(at, at + layout.bytesOf(name))))
        return false;
    }
    return true;
  }

  bytes(gva: number, length: number): Uint8Array | null {
    return this.memory.readVirtual(gva, length);
  }

  put(gva: number, bytes: Uint8Array): boolean {
    return this.memory.writeVirtual(gva, bytes);
  }

  u32(gva: number): number | null {
    const at = this.memory.peek(gva, 4);
    if (at >= 0) return this.memory.window.getUint32(at, true);
    const bytes = this.bytes(gva, 4);
    return bytes && viewOf(bytes).getUint32(0, true);
  }

  /** As many 32-bit words as there is room for. */
  readWords(gva: number, words: Int32Array): boolean {
    const { window } = this.memory;
    const at = this.memory.peek(gva, words.length * 4);
    if (at >= 0) {
      for (let n = 0; n < words.length; n++) words[n] = window.getInt32(at + 4 * n, true);
      return true;
    }
    const bytes = this.bytes(gva, words.length * 4);
    if (bytes) words.set(new Int32Array(bytes.buffer, bytes.byteOffset, words.length));
    return bytes !== null;
  }

  putWords(gva: number, words: Int32Array): boolean {
    return this.put(gva, new Uint8Array(words.buffer, words.byteOffset, words.length * 4));
  }

  putU32(gva: number, value: number): boolean {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value, true);
    return this.put(gva, bytes);
  }

  /** An `unsigned long` or frame number; one beyond 2^53 is `Infinity`, which is no frame. */
  ulong(gva: number): number | null {
    const bytes = this.bytes(gva, this.wide ? 8 : 4);
    if (!bytes) return null;
    const view = viewOf(bytes);
    const low = view.getUint32(0, true);
    if (!this.wide) return low;
    const value = view.getUint32(4, true) * 0x1_0000_0000 + low;
    return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
  }

  putUlong(gva: number, value: number): boolean {
    const at = this.memory.poke(gva, this.wide ? 8 : 4);
    if (at >= 0) {
      this.memory.window.setInt32(at, value, true);
      if (this.wide) this.memory.window.setInt32(at + 4, Math.floor(value / 0x1_0000_0000), true);
      return true;
    }
    const bytes = new Uint8Array(this.wide ? 8 : 4);
    const view = viewOf(bytes);
    view.setUint32(0, value >>> 0, true);
    if (this.wide) view.setUint32(4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
    return this.put(gva, bytes);
  }

  /** Where entry `n` of an array begins. */
  at(gva: number, n: number, bytes: number): number {
    return gva + n * bytes;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
