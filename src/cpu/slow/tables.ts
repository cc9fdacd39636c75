// Slow paths for the registers that hold descriptor tables: LGDT, LIDT, SGDT, SIDT.

import { GP, isCanonical } from '../control-bits.ts';
import { exits, POLICY_DESCRIPTORS } from '../policy.ts';
import { type Cx, defineSlow } from './define.ts';

/** Args: linear address (64), 1 for the IDT (32). */
export const loadTable = defineSlow({
  name: 'load_table',
  ref: 'SDM 2A LGDT/LIDT',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_DESCRIPTORS)) return 1;
    const long = state.get('codeMode') === 64;
    if (!cx.mmu.read(state.argVa(0), long ? 10 : 6, 'current')) return 1;
    const base = tableBase(cx, long);
    if (!isCanonical(base)) return state.raise(GP, 0);
    const idt = state.arg32(1) !== 0;
    state.set(idt ? 'idtrLimit' : 'gdtrLimit', cx.mmu.buf.getUint16(0, true));
    state.setVa(idt ? 'idtrBase' : 'gdtrBase', base);
    return 0;
  },
});

/** Args: linear address (64), 1 for the IDT (32). */
export const storeTable = defineSlow({
  name: 'store_table',
  ref: 'SDM 2B SGDT/SIDT',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_DESCRIPTORS)) return 1;
    const idt = state.arg32(1) !== 0;
    const base = state.getVa(idt ? 'idtrBase' : 'gdtrBase');
    const { buf } = cx.mmu;
    buf.setUint16(0, state.get(idt ? 'idtrLimit' : 'gdtrLimit'), true);
    buf.setUint32(2, base, true);
    buf.setInt32(6, Math.floor(base / 4294967296), true);
    return cx.mmu.write(state.argVa(0), state.get('codeMode') === 64 ? 10 : 6, 'current') ? 0 : 1;
  },
});

/** 64 bits in 64-bit code; else 32, of which a 16-bit operand size takes 24. */
function tableBase(cx: Cx, long: boolean): number {
  const low = cx.mmu.buf.getUint32(2, true);
  if (long) return cx.mmu.buf.getInt32(6, true) * 4294967296 + low;
  return cx.insn.osize === 16 ? low & 0xffffff : low;
}
