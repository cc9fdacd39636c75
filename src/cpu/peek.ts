// Looks at guest memory by its virtual addresses and leaves no trace: no TLB entry, no accessed flag, no fault.

import { CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA } from './control-bits.ts';
import type { Cpu } from './core.ts';

const PTE_P = 1;
const PTE_PS = 0x80;
const FOUR_GIB = 0x1_0000_0000;
const ADDRESS_HI = 0xfffff;

export type Peeked = Pick<Cpu, 'state' | 'views' | 'layout'>;

/** Where in guest-physical RAM the byte at `va` lies by the tables as they stand; -1: it is not mapped, or not to RAM. */
export function peekAddress(cpu: Peeked, va: number): number {
  const gpa = translated(cpu, va);
  return gpa >= 0 && gpa < cpu.layout.ramBytes ? gpa : -1;
}

/** Fewer bytes than asked for where the mapping ends. */
export function peekBytes(cpu: Peeked, va: number, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let done = 0; done < bytes; ) {
    const gpa = peekAddress(cpu, va + done);
    if (gpa < 0) return out.subarray(0, done);
    const size = Math.min(bytes - done, 4096 - (gpa & 0xfff));
    const from = cpu.layout.ramBase + gpa;
    out.set(cpu.views.u8.subarray(from, from + size), done);
    done += size;
  }
  return out;
}

function translated(cpu: Peeked, va: number): number {
  const { state } = cpu;
  const lo = va >>> 0;
  if ((state.get('cr0') & CR0_PG) === 0) return lo;
  const root = Number(state.get64('cr3') & 0xff_ffff_ffff_f000n);
  if (state.get('efer') & EFER_LMA) {
    const hi = Math.floor(va / FOUR_GIB);
    return walk(
      cpu,
      root,
      4,
      (level) =>
        level === 4 ? hi >>> 7 : level === 3 ? (hi << 2) | (lo >>> 30) : lo >>> (9 * level + 3),
      va,
    );
  }
  if (state.get('cr4') & CR4_PAE) {
    const table = Number(state.get64('cr3') & 0xffff_ffe0n);
    const entry = entryAt(cpu, table + (lo >>> 30) * 8);
    return entry & PTE_P
      ? walk(cpu, tableOf(cpu, table + (lo >>> 30) * 8), 2, (level) => lo >>> (9 * level + 3), va)
      : -1;
  }
  return walk32(cpu, root, lo);
}

/** Tables of 512 entries. SDM 3A 4.4, 4.5. */
function walk(
  cpu: Peeked,
  root: number,
  levels: number,
  index: (level: number) => number,
  va: number,
): number {
  let table = root;
  for (let level = levels; ; level--) {
    const at = table + (index(level) & 0x1ff) * 8;
    const lo = entryAt(cpu, at);
    if ((lo & PTE_P) === 0) return -1;
    const next = tableOf(cpu, at);
    if (level === 1) return next + (va & 0xfff);
    if (lo & PTE_PS) {
      const size = 2 ** (9 * level + 3);
      return Math.floor(next / size) * size + ((va >>> 0) % size);
    }
    table = next;
  }
}

/** Tables of 1024 entries. SDM 3A 4.3. */
function walk32(cpu: Peeked, root: number, lo: number): number {
  const upper = entryAt(cpu, root + (lo >>> 22) * 4);
  if ((upper & PTE_P) === 0) return -1;
  if (upper & PTE_PS && cpu.state.get('cr4') & CR4_PSE)
    return ((upper >>> 13) & 0xff) * FOUR_GIB + ((upper & 0xffc00000) >>> 0) + (lo & 0x3fffff);
  const entry = entryAt(cpu, ((upper & ~0xfff) >>> 0) + ((lo >>> 12) & 0x3ff) * 4);
  return entry & PTE_P ? ((entry & ~0xfff) >>> 0) + (lo & 0xfff) : -1;
}

/** The low half of an entry; one that is not in RAM is not present. */
function entryAt({ views, layout }: Peeked, gpa: number): number {
  return gpa < layout.ramBytes ? views.u32[(layout.ramBase + gpa) >>> 2]! : 0;
}

function tableOf({ views, layout }: Peeked, gpa: number): number {
  const i = (layout.ramBase + gpa) >>> 2;
  return (views.u32[i + 1]! & ADDRESS_HI) * FOUR_GIB + ((views.u32[i]! & ~0xfff) >>> 0);
}
