// One digest of everything a guest could tell apart: registers, memory, TLB and devices, and nothing of the engine.

import { Sha256 } from '../base/sha256.ts';
import type { Cpu } from '../cpu/core.ts';
import { readFlags } from '../cpu/flags.ts';
import { FRAME_DIRTY } from '../cpu/frames.ts';
import {
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  ENGINE_FIELDS,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type FieldName,
  GPR_AT,
  MSR_AT,
  SEG_AT,
  ST_AT,
  STATE_BYTES,
  XMM_AT,
} from '../cpu/state.ts';
import { ENTRY_GLOBAL, ENTRY_SIZE_SHIFT, ENTRY_WRITE } from '../cpu/tlb.ts';
import type { SnapshotSlots } from '../machine/snapshot.ts';
import { hashFrame, isZeroFrame } from './frame-hash.ts';

/** Fields that say how an engine works, not what the vCPU is, or follow from others; the flags are hashed as a whole. */
const NOT_HASHED: ReadonlySet<FieldName> = new Set<FieldName>([
  ...ENGINE_FIELDS,
  ...(['eflags', 'dataTlb', 'fetchTlb', 'sseFault', 'x87Fault'] as const),
]);
/** Arrays of the state: first byte and length. */
const ARRAYS: readonly (readonly [number, number])[] = [
  [GPR_AT, 16 * 8],
  [SEG_AT, 8 * 32],
  [XMM_AT, 16 * 16],
  [ST_AT, 8 * 16],
  [MSR_AT, STATE_BYTES - MSR_AT],
];
const FRAME_SHIFT = 12;
/** A tag that stands for nothing has bit 0 set (state.ts, NO_TAG). */
const NO_TAG_BIT = 1;

export function stateHash(
  cpu: Cpu,
  devices: SnapshotSlots,
  sha256: (pieces: readonly Uint8Array[]) => string = digestOf,
): string {
  return sha256([registers(cpu), memory(cpu), tlb(cpu), devices.bytes()]);
}

function digestOf(pieces: readonly Uint8Array[]): string {
  const hash = new Sha256();
  for (const piece of pieces) hash.update(piece);
  return hash.hex();
}

function registers({ state, views }: Cpu): Uint8Array {
  const out: number[] = [];
  for (const name of Object.keys(FIELDS) as FieldName[]) {
    if (NOT_HASHED.has(name)) continue;
    const { at, bits } = FIELDS[name];
    for (let i = 0; i < bits / 8; i++) out.push(views.u8[state.base + at + i]!);
  }
  for (const [at, bytes] of ARRAYS) {
    out.push(...views.u8.subarray(state.base + at, state.base + at + bytes));
  }
  const flags = readFlags(state);
  out.push(flags & 0xff, (flags >>> 8) & 0xff, (flags >>> 16) & 0xff, flags >>> 24);
  return Uint8Array.from(out);
}

/** Number and hash of each frame that was ever written and is not empty: the leaves of a tree of height one. */
function memory({ layout, views }: Cpu): Uint8Array {
  const frames = layout.ramBytes >>> FRAME_SHIFT;
  const one = new Uint32Array(4);
  const leaves: number[] = [];
  for (let frame = 0; frame < frames; frame++) {
    if ((views.u8[layout.frameAttrs + frame]! & FRAME_DIRTY) === 0) continue;
    const word = (layout.ramBase + frame * 4096) >>> 2;
    if (isZeroFrame(views.u32, word)) continue;
    hashFrame(views.u32, word, one);
    leaves.push(frame, one[0]!, one[1]!, one[2]!, one[3]!);
  }
  return littleEndian(leaves);
}

/** What each entry translates and allows; not where the page lies in the engine's memory, nor how a store gets there. */
function tlb({ layout, views }: Cpu): Uint8Array {
  const { u32 } = views;
  const out: number[] = [];
  const visible = ENTRY_GLOBAL | ENTRY_WRITE | (0xff << ENTRY_SIZE_SHIFT);
  const put = (n: number, at: number, pageWord: number, flagWord: number) => {
    const i = at >>> 2;
    if (u32[i]! & NO_TAG_BIT) return;
    out.push(n, u32[i]!, u32[i + 1]!, u32[i + pageWord]!, u32[i + flagWord]! & visible);
  };
  for (let n = 0; n < 3 * DATA_TLB_ENTRIES; n++)
    put(n, layout.dataTlbs + n * DATA_TLB_STRIDE, 5, 6);
  for (let n = 0; n < 2 * FETCH_TLB_ENTRIES; n++) {
    put(-1 - n, layout.fetchTlbs + n * FETCH_TLB_STRIDE, 2, 3);
  }
  return littleEndian(out);
}

function littleEndian(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, n) => {
    view.setUint32(n * 4, word >>> 0, true);
  });
  return bytes;
}
