// Finds the first architectural difference between two machines that should be equal.

import { FRAME_CODE } from '../frames.ts';
import { readStatusFlags } from '../reference/flags.ts';
import {
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  ENGINE_FIELDS,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type FieldName,
  GPR_AT,
  NO_TAG,
  SEG_AT,
  SEG_ATTR,
  SEG_LIMIT,
  SEG_SELECTOR,
  ST_AT,
  XMM_AT,
} from '../state.ts';
import { type Machine, mayDiffer, type StepResult } from './machine.ts';
import { RAM_BYTES } from './world.ts';

const NOT_COMPARED: ReadonlySet<FieldName> = new Set(ENGINE_FIELDS);
const COMPARED = (Object.keys(FIELDS) as FieldName[]).filter((name) => !NOT_COMPARED.has(name));
const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const SEG_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];
const PAGE_FAULT = 14;
const FRAMES = RAM_BYTES >>> 12;

const hex = (n: bigint | number): string => `0x${n.toString(16)}`;

/** Named values of the registers, in a fixed order. */
export function registersOf(m: Machine): Map<string, bigint> {
  const { state } = m;
  const out = new Map<string, bigint>();
  const u64 = (at: number) => m.views.u64[(state.base + at) >> 3] as bigint;
  for (let n = 0; n < 16; n++) out.set(GPR_NAMES[n] ?? `r${n}`, u64(GPR_AT + n * 8));
  out.set('flags', BigInt(readStatusFlags(state)));
  for (const name of COMPARED) out.set(name, fieldValue(m, name));
  for (let n = 0; n < 16; n++)
    out.set(`xmm${n}`, u64(XMM_AT + n * 16) | (u64(XMM_AT + n * 16 + 8) << 64n));
  for (let n = 0; n < 8; n++)
    out.set(`st[${n}]`, u64(ST_AT + n * 16) | ((u64(ST_AT + n * 16 + 8) & 0xffffn) << 64n));
  SEG_NAMES.forEach((name, n) => {
    out.set(`${name}.base`, u64(SEG_AT + n * 32));
    out.set(`${name}.limit`, BigInt(state.seg(n, SEG_LIMIT)));
    out.set(`${name}.attr`, BigInt(state.seg(n, SEG_ATTR)));
    out.set(`${name}.selector`, BigInt(state.seg(n, SEG_SELECTOR)));
  });
  return out;
}

function fieldValue(m: Machine, name: FieldName): bigint {
  return FIELDS[name].bits === 64 ? m.state.get64(name) : BigInt(m.state.get(name));
}

/** The first difference as a sentence; null: there is none. `a` and `b` have just made `ra` and `rb`. */
export function firstDifference(
  a: Machine,
  b: Machine,
  ra: StepResult,
  rb: StepResult,
): string | null {
  const outcome = [ra, rb].map((r) => (r === 'ok' ? 'no fault' : `#${r.fault}(${r.error})`));
  if (outcome[0] !== outcome[1]) return `fault: ${outcome.join(' against ')}`;
  if (ra !== 'ok' && ra.fault === PAGE_FAULT) {
    const [x, y] = [a, b].map((m) => m.state.get64('faultAddress'));
    if (x !== y) return `fault address: ${hex(x ?? 0n)} against ${hex(y ?? 0n)}`;
  }
  return (
    registerDifference(registersOf(a), registersOf(b)) ??
    ramDifference(a, b) ??
    tlbDifference(a, b) ??
    frameDifference(a, b) ??
    logDifference(a.border.log, b.border.log)
  );
}

export function registerDifference(
  a: ReadonlyMap<string, bigint>,
  b: ReadonlyMap<string, bigint>,
): string | null {
  for (const [name, value] of a) {
    const other = b.get(name) ?? 0n;
    if (value !== other) return `${name}: ${hex(value)} against ${hex(other)}`;
  }
  return null;
}

/** The first differing word of RAM at or above `from`, the start of a frame. */
export function ramDifference(a: Machine, b: Machine, from = 0): string | null {
  for (let frame = from >>> 12; frame < FRAMES; frame++) {
    if (!mayDiffer(a, frame) && !mayDiffer(b, frame)) continue;
    const found = frameContents(a, b, frame << 12);
    if (found) return found;
  }
  return null;
}

function frameContents(a: Machine, b: Machine, gpa: number): string | null {
  const [x, y] = [(a.layout.ramBase + gpa) >> 2, (b.layout.ramBase + gpa) >> 2];
  for (let n = 0; n < 1024; n++) {
    const [v, w] = [a.views.u32[x + n] as number, b.views.u32[y + n] as number];
    if (v !== w) return `memory ${hex(gpa + n * 4)}: ${hex(v)} against ${hex(w)}`;
  }
  return null;
}

/** Only entries with a valid tag count: what a dropped entry still holds means nothing. */
function tlbDifference(a: Machine, b: Machine): string | null {
  for (const at of new Set([...a.mmu.tlbEntries(), ...b.mmu.tlbEntries()])) {
    const found = at < a.layout.fetchTlbs ? dataDifference(a, b, at) : fetchDifference(a, b, at);
    if (found) return found;
  }
  return null;
}

function dataDifference(a: Machine, b: Machine, at: number): string | null {
  const frame = a.views.u32[(at >> 2) + 5] as number;
  // Stores to decoded code go to the MMU; how much code an engine keeps decoded is its own business.
  const words = isCode(a, frame) || isCode(b, frame) ? [4, 5] : [2, 3, 4, 5];
  const found = entryDifference(a, b, at, words);
  const n = (at - a.layout.dataTlbs) / DATA_TLB_STRIDE;
  return (
    found && `data TLB ${Math.floor(n / DATA_TLB_ENTRIES)} entry ${n % DATA_TLB_ENTRIES}: ${found}`
  );
}

function fetchDifference(a: Machine, b: Machine, at: number): string | null {
  const found = entryDifference(a, b, at, [2]);
  const n = (at - a.layout.fetchTlbs) / FETCH_TLB_STRIDE;
  return (
    found &&
    `fetch TLB ${Math.floor(n / FETCH_TLB_ENTRIES)} entry ${n % FETCH_TLB_ENTRIES}: ${found}`
  );
}

function attributesOf(m: Machine, frame: number): number {
  return frame < FRAMES ? (m.views.u8[m.layout.frameAttrs + frame] as number) : 0;
}

function isCode(m: Machine, frame: number): boolean {
  return (attributesOf(m, frame) & FRAME_CODE) !== 0;
}

/** Attributes of frames, but for the mark of decoded code. */
function frameDifference(a: Machine, b: Machine): string | null {
  for (let frame = 0; frame < FRAMES; frame++) {
    const x = attributesOf(a, frame) & ~FRAME_CODE;
    const y = attributesOf(b, frame) & ~FRAME_CODE;
    if (x !== y) return `attributes of frame ${hex(frame)}: ${hex(x)} against ${hex(y)}`;
  }
  return null;
}

function entryDifference(
  a: Machine,
  b: Machine,
  at: number,
  words: readonly number[],
): string | null {
  const [x, y] = [a.views.i64[at >> 3] as bigint, b.views.i64[at >> 3] as bigint];
  if (x !== y) return `tag ${hex(x)} against ${hex(y)}`;
  if (x === NO_TAG) return null;
  const word = words.find((w) => a.views.u32[(at >> 2) + w] !== b.views.u32[(at >> 2) + w]);
  return word === undefined ? null : `page ${hex(x)}, word ${word}`;
}

function logDifference(a: readonly string[], b: readonly string[]): string | null {
  const n = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => i).find(
    (i) => a[i] !== b[i],
  );
  return n === undefined ? null : `border request ${n}: '${a[n]}' against '${b[n]}'`;
}
