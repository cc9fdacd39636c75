// The vCPU's registers as text, for the report of a run that ended badly.

import type { Cpu } from '../cpu/core.ts';
import { readFlags } from '../cpu/flags.ts';
import { SEG_ATTR, SEG_LIMIT, SEG_SELECTOR } from '../cpu/state.ts';

const GPR_NAMES = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI'];
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS', 'LDT', 'TR'];
const CODE_BYTES = 16;

/** The layout is that of QEMU's `info registers`, which kernel developers know. May touch the TLB: only for the end. */
export function vcpuDump(cpu: Cpu): string {
  const { state } = cpu;
  const gpr = (n: number) => `${(GPR_NAMES[n] ?? `R${n}`).padEnd(3)}=${hex(state.gpr(n), 16)}`;
  const row = (from: number) => [0, 1, 2, 3].map((n) => gpr(from + n)).join(' ');
  const segment = (name: string, n: number) =>
    `${name.padEnd(3)}=${hex(BigInt(state.seg(n, SEG_SELECTOR)), 4)} ${hex(BigInt.asUintN(64, BigInt(state.segBase(n))), 16)} ` +
    `${hex(BigInt(state.seg(n, SEG_LIMIT)), 8)} ${hex(BigInt(state.seg(n, SEG_ATTR)), 5)}`;
  return [
    ...[0, 4, 8, 12].map(row),
    `RIP=${hex(state.get64('rip'), 16)} RFL=${hex(BigInt(readFlags(state) >>> 0), 8)} CPL=${state.get('cpl')} HLT=${state.get('halted')} mode=${state.get('codeMode')}`,
    ...SEGMENTS.map(segment),
    `GDT=${hex(state.get64('gdtrBase'), 16)} ${hex(BigInt(state.get('gdtrLimit')), 4)} IDT=${hex(state.get64('idtrBase'), 16)} ${hex(BigInt(state.get('idtrLimit')), 4)}`,
    `CR0=${hex(BigInt(state.get('cr0')), 8)} CR2=${hex(state.get64('cr2'), 16)} CR3=${hex(state.get64('cr3'), 16)} CR4=${hex(BigInt(state.get('cr4')), 8)} EFER=${hex(BigInt(state.get('efer')), 8)}`,
    `Code=${codeBytes(cpu)}`,
  ].join('\n');
}

/** The bytes at RIP, or a word why there are none. */
function codeBytes({ state, mmu }: Cpu): string {
  const rip =
    state.get('codeMode') === 64 ? state.getVa('rip') : state.segBase(1) + state.get('rip');
  const bytes: string[] = [];
  for (let n = 0; n < CODE_BYTES; n++) {
    if (!mmu.read(rip + n, 1, 'system')) break;
    bytes.push(mmu.buf.getUint8(0).toString(16).padStart(2, '0'));
  }
  return bytes.length > 0 ? bytes.join(' ') : 'not mapped';
}

const hex = (value: bigint, digits: number): string => value.toString(16).padStart(digits, '0');
