// The store at RIP, if it is a plain one: MOV of a general register or an immediate to memory, in 64-bit code.

import type { Decoded } from '../../cpu/decoded.ts';
import { FIELDS, GPR_AT } from '../../cpu/state.ts';
import { codePlace } from '../../cpu/tlb-place.ts';
import { decodeAgain, MAX_BYTES } from './decode-again.ts';
import type { PvDomain } from './pv-domain.ts';

const PAGE = 4096;
const CODE_MODE = FIELDS.codeMode.at >> 2;
const RIP = FIELDS.rip.at >> 2;
const GPR = GPR_AT >> 2;
/** The first segment that has a base in 64-bit code. SDM 1 3.4.4. */
const FS = 4;

/** What was found: its length, its bytes of data, and the value in halves; nothing of it outlives the next call. */
export interface PlainStore {
  length: number;
  bytes: number;
  lo: number;
  hi: number;
}
const found: PlainStore = { length: 0, bytes: 0, lo: 0, hi: 0 };

/** Of 4 or 8 bytes, to `address`, where a page fault has just been; null: another instruction, or one that is not that easily read. */
export function plainStoreAt(pv: PvDomain, address: number): PlainStore | null {
  const { vcpuWords } = pv;
  if (vcpuWords[CODE_MODE] !== 64) return null;
  const d = decodeInPage(pv);
  if (d === null || d.insn.name !== 'mov' || d.segment >= FS) return null;
  const [to, from] = d.operands;
  if (to?.kind !== 'mem' || from === undefined || (to.size !== 32 && to.size !== 64)) return null;
  // A store across a page's end may have faulted at its second part: it begins elsewhere then.
  if (lowAddress(pv, d) !== address >>> 0) return null;
  if (from.kind === 'imm') {
    found.lo = d.immLo[from.n as 0 | 1];
    found.hi = d.immHi[from.n as 0 | 1];
  } else if (from.kind === 'reg' && from.file === 'gpr') {
    const register = GPR + 2 * (from.fixed ?? d.regs[from.slot]!);
    found.lo = vcpuWords[register]!;
    found.hi = vcpuWords[register + 1]!;
  } else return null;
  found.length = d.length;
  found.bytes = to.size / 8;
  return found;
}

/** By the fetch TLB, which has just had it. */
function decodeInPage({ cpu, words, vcpuWords }: PvDomain): Decoded | null {
  let gpa = codePlace(words, vcpuWords, vcpuWords[RIP]!, vcpuWords[RIP + 1]!);
  if (gpa < 0) gpa = cpu.mmu.fetch(cpu.state.getVa(FIELDS.rip));
  if (gpa < 0 || !cpu.mmu.isRam(gpa)) return null;
  const bytes = Math.min(MAX_BYTES, PAGE - (gpa & (PAGE - 1)));
  return decodeAgain(cpu.views.u8, cpu.layout.ramBase + gpa, bytes, 64);
}

/** Low half of its effective address: that of the fault says the rest. */
function lowAddress({ vcpuWords }: PvDomain, d: Decoded): number {
  const base = d.base < 0 ? 0 : vcpuWords[GPR + 2 * d.base]!;
  const index = d.index < 0 ? 0 : vcpuWords[GPR + 2 * d.index]! << d.scale;
  const next = d.ripRelative ? vcpuWords[RIP]! + d.length : 0;
  return (base + index + next + d.disp) >>> 0;
}
