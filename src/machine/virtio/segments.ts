// Pieces of guest RAM that one buffer is made of, and copies between them and host bytes.

import type { GuestRam } from '../memory.ts';

/** Checked to lie in RAM when it was made; RAM never shrinks. */
export interface Segment {
  readonly gpa: number;
  readonly bytes: number;
}

export function totalBytes(segments: readonly Segment[]): number {
  let total = 0;
  for (const segment of segments) total += segment.bytes;
  return total;
}

/** The part of a buffer from `from` on, `length` bytes at most: drivers frame their data as they like (virtio 1.2 2.7.4). */
export function slice(segments: readonly Segment[], from: number, length: number): Segment[] {
  const out: Segment[] = [];
  let skip = from;
  let left = length;
  for (const { gpa, bytes } of segments) {
    if (left <= 0) break;
    if (skip >= bytes) {
      skip -= bytes;
      continue;
    }
    const taken = Math.min(bytes - skip, left);
    out.push({ gpa: gpa + skip, bytes: taken });
    left -= taken;
    skip = 0;
  }
  return out;
}

/** Copies a buffer out; the caller has bounded its size. */
export function gather(ram: GuestRam, segments: readonly Segment[]): Uint8Array {
  const out = new Uint8Array(totalBytes(segments));
  let at = 0;
  for (const { gpa, bytes } of segments) {
    const view = ram.view(gpa, bytes);
    if (view !== null) out.set(view, at);
    at += bytes;
  }
  return out;
}

/** Copies bytes in, as many as the buffer holds, and says how many. */
export function scatter(ram: GuestRam, segments: readonly Segment[], from: Uint8Array): number {
  let at = 0;
  for (const { gpa, bytes } of segments) {
    if (at >= from.length) break;
    const length = Math.min(bytes, from.length - at);
    ram.write(gpa, from.subarray(at, at + length));
    at += length;
  }
  return at;
}
