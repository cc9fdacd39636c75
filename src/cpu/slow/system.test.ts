// System slow paths: segment loads, far transfers, IRET, system calls, control registers, MSRs, ports.

import { beforeEach, describe, expect, it } from 'vitest';
import {
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_PAE,
  CR4_PCIDE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  EFLAGS_AC,
  EFLAGS_IF,
} from '../control-bits.ts';
import { cpuidLeaf, cpuModel, DEFAULT_MODEL } from '../cpuid.ts';
import { FEATURE_BITS } from '../cpuid-features.ts';
import { deliver } from '../deliver.ts';
import {
  MSR_EFER,
  MSR_INT_PENDING,
  MSR_LSTAR,
  MSR_PAT,
  MSR_PERF_CTR0,
  MSR_PERF_EVT_SEL0,
  MSR_TSC,
  MSR_TSC_ADJUST,
  readMsr,
  writeMsr,
} from '../msr.ts';
import { exitBit, POLICY_CPUID, setPolicy } from '../policy.ts';
import {
  ABSENT,
  CODE0,
  CODE3,
  DATA0,
  DATA3,
  enterRing3,
  GDT,
  LDT_SELECTOR,
  loadTables,
  longGate,
  OTHER_CODE3,
  STACK0,
  STACK3,
  TSS,
  TSS_SELECTOR,
} from '../testing/descriptor-tables.ts';
import { enablePaging, map, P, PS, U, W } from '../testing/page-tables.ts';
import { type SmallMachine, smallMachine } from '../testing/small-machine.ts';
import { clts, invpcid, lmsw, readControl, writeControl, writeDebug } from './control-registers.ts';
import { farCall, farJump, farReturn } from './far.ts';
import { cpuid, rdtsc } from './identity.ts';
import { popf, sti } from './interrupts.ts';
import { iret } from './iret.ts';
import { input, inputString, output } from './ports.ts';
import { lar, lldt, loadSegment, lsl, ltr, popSegment, verify } from './segments.ts';
import { swapgs, syscall, sysenter, sysexit, sysret } from './system-calls.ts';
import { loadTable, storeTable } from './tables.ts';

let m: SmallMachine;

function longMachine(): void {
  m = smallMachine(4 << 20);
  enablePaging(m, '4-level');
  map(m, '4-level', 0, P | W | U | PS, 2);
  loadTables(m, true);
}

function protectedMachine(): void {
  m = smallMachine();
  m.state.set('cr0', CR0_PE);
  loadTables(m, false);
}

describe('segment loads in protected mode', () => {
  beforeEach(protectedMachine);

  it('take base, limit and attributes from the descriptor and mark it accessed', () => {
    m.write64(GDT + 0x10, 0x12cf_9234_5678_0fffn);
    expect(m.call(loadSegment, 3, DATA0)).toBe(0);
    expect(m.state.segBase(3)).toBe(0x12345678);
    expect(m.state.seg(3, 8)).toBe(0xf0fff * 4096 + 4095);
    expect(m.state.seg(3, 12)).toBe(0xc093);
    expect(m.read64(GDT + 0x10)).toBe(0x12cf_9334_5678_0fffn);
  });

  it.each([
    ['DS', 3, 0x60, '#13(96)'],
    ['DS', 3, TSS_SELECTOR, `#13(${TSS_SELECTOR})`],
    ['DS', 3, ABSENT, `#11(${ABSENT})`],
    ['SS', 2, 0, '#13(0)'],
    ['SS', 2, DATA3, `#13(${DATA3 & ~3})`],
    ['SS', 2, CODE0, `#13(${CODE0})`],
  ] as const)('of %s (%i) with %i raise %s', (_name, n, selector, fault) => {
    expect(m.call(loadSegment, n, selector)).toBe(1);
    expect(m.fault()).toBe(fault);
  });

  it('of ring 0 data fail in ring 3', () => {
    enterRing3(m, false);
    expect(m.call(loadSegment, 3, DATA0)).toBe(1);
    expect(m.call(loadSegment, 3, DATA3)).toBe(0);
  });

  it('of null clear base and limit', () => {
    expect(m.call(loadSegment, 5, 3)).toBe(0);
    expect(m.state.seg(5, 16)).toBe(3);
    expect(m.state.seg(5, 12)).toBe(1 << 16);
  });

  it('of SS cast a shadow', () => {
    m.call(loadSegment, 2, DATA0);
    expect(m.state.get('shadow')).toBe(2);
  });

  it('by POP leave the stack pointer when they fault', () => {
    expect(m.call(popSegment, 3, 0x60, 0x1234)).toBe(1);
    expect(m.state.gpr(4)).toBe(BigInt(STACK0));
    m.call(popSegment, 3, DATA0, 0x1234);
    expect(m.state.gpr(4)).toBe(0x1234n);
  });

  it('LTR marks the TSS busy and refuses it the second time', () => {
    expect(m.call(ltr, TSS_SELECTOR)).toBe(0);
    expect(m.state.segBase(7)).toBe(TSS);
    expect(m.call(ltr, TSS_SELECTOR)).toBe(1);
    expect(m.fault()).toBe(`#13(${TSS_SELECTOR})`);
  });

  it('LLDT takes LDT descriptors and null', () => {
    expect(m.call(lldt, LDT_SELECTOR)).toBe(0);
    expect(m.state.segBase(6)).toBe(0x5000);
    expect(m.call(lldt, CODE0)).toBe(1);
    expect(m.call(lldt, 0)).toBe(0);
    expect(m.call(loadSegment, 3, 4)).toBe(1);
  });

  it('LAR, LSL and VERW answer without faulting', () => {
    const result = (n: number) => m.state.views.u32[(m.state.base + 0x600 + n * 16) >> 2];
    m.call(lar, DATA0);
    expect([result(0), result(1)]).toEqual([1, 0x00c09300]);
    m.call(lsl, DATA0);
    expect([result(0), result(1)]).toEqual([1, 0xffffffff]);
    m.call(lar, 0x60);
    expect(result(0)).toBe(0);
    m.call(verify, DATA0, 1);
    expect(result(0)).toBe(1);
    m.call(verify, CODE0, 1);
    expect(result(0)).toBe(0);
  });
});

describe('far transfers', () => {
  it('jump to a code segment of the same ring, and nowhere else', () => {
    protectedMachine();
    expect(m.call(farJump, CODE0, 0x1234)).toBe(0);
    expect(m.state.get('rip')).toBe(0x1234);
    expect(m.call(farJump, CODE3, 0)).toBe(1);
    expect(m.fault()).toBe(`#13(${CODE3 & ~3})`);
    expect(m.call(farJump, DATA0, 0)).toBe(1);
    expect(m.call(farJump, ABSENT, 0)).toBe(1);
    expect(m.fault()).toBe(`#11(${ABSENT})`);
  });

  it('enter 64-bit code from compatibility code', () => {
    longMachine();
    m.write64(GDT + 0x50, 0x00cf9b000000ffffn);
    expect(m.call(farJump, 0x50, 0x1000)).toBe(0);
    expect(m.state.get('codeMode')).toBe(32);
    expect(m.call(farJump, CODE0, 0x2000)).toBe(0);
    expect(m.state.get('codeMode')).toBe(64);
  });

  it('call and return within a ring', () => {
    protectedMachine();
    m.call(farCall, CODE0, 0x1234);
    expect(m.read32(STACK0 - 8)).toBe(0x7000);
    expect(m.read32(STACK0 - 4)).toBe(CODE0);
    expect(m.call(farReturn, 4)).toBe(0);
    expect(m.state.get('rip')).toBe(0x7000);
    expect(m.state.gpr32(4)).toBe(STACK0 + 4);
  });

  it('call an inner ring through a gate, copying parameters, and return', () => {
    protectedMachine();
    m.write32(TSS + 4, STACK0, DATA0);
    m.write64(GDT + 0x48, 0x0000_ec02_0008_4000n);
    enterRing3(m, false);
    m.write32(STACK3, 0xaaaa, 0xbbbb);
    expect(m.call(farCall, 0x4b, 0)).toBe(0);
    expect(m.state.get('cpl')).toBe(0);
    expect(m.state.get('rip')).toBe(0x4000);
    const sp = m.state.gpr32(4);
    expect([0, 4, 8, 12, 16, 20].map((n) => m.read32(sp + n))).toEqual([
      0x7000,
      CODE3,
      0xaaaa,
      0xbbbb,
      STACK3,
      DATA3,
    ]);
    expect(m.call(farReturn, 8)).toBe(0);
    expect(m.state.get('cpl')).toBe(3);
    expect(m.state.gpr32(4)).toBe(STACK3 + 8);
    expect(m.state.seg(3, 16)).toBe(0);
  });

  it('use segments times 16 in real mode', () => {
    m = smallMachine();
    m.insn.osize = 16;
    m.call(farJump, 0x1234, 0x10);
    expect(m.state.segBase(1)).toBe(0x12340);
    expect(m.state.get('rip')).toBe(0x10);
  });
});

describe('IRET', () => {
  it('undoes an interrupt from ring 3 in IA-32e mode', () => {
    longMachine();
    longGate(m, 0x20, 0x8e);
    m.write32(TSS + 4, STACK0, 0);
    enterRing3(m, true);
    m.state.set('eflags', 2 | EFLAGS_IF);
    deliver(m.cx, { vector: 0x20, error: null, kind: 'interrupt' });
    expect(m.call(iret)).toBe(0);
    expect(m.state.get64('rip')).toBe(0x7000n);
    expect(m.state.gpr(4)).toBe(BigInt(STACK3));
    expect(m.state.get('cpl')).toBe(3);
    expect(m.state.get('eflags') & EFLAGS_IF).toBe(EFLAGS_IF);
    expect(m.state.seg(2, 16)).toBe(DATA3);
  });

  it('to a non-canonical RIP raises #GP(0) and changes nothing', () => {
    longMachine();
    m.write64(STACK0, 0x8000_0000_0000n, BigInt(CODE0), 2n, 0x1000n, BigInt(DATA0));
    expect(m.call(iret)).toBe(1);
    expect(m.fault()).toBe('#13(0)');
    expect(m.state.gpr(4)).toBe(BigInt(STACK0));
  });

  it('cannot enter an inner ring', () => {
    longMachine();
    enterRing3(m, true);
    m.write64(STACK3, 0x1000n, BigInt(CODE0), 2n, 0x1000n, BigInt(DATA0));
    expect(m.call(iret)).toBe(1);
    expect(m.fault()).toBe(`#13(${CODE0})`);
  });

  it('in ring 3 changes neither IOPL nor, above it, IF', () => {
    protectedMachine();
    enterRing3(m, false);
    m.state.set('eflags', 2 | EFLAGS_IF);
    m.write32(STACK3, 0x1000, CODE3, 0x3002);
    expect(m.call(iret)).toBe(0);
    expect(m.state.get('eflags')).toBe(2 | EFLAGS_IF);
  });

  it('goes to virtual-8086 mode from ring 0', () => {
    protectedMachine();
    m.write32(STACK0, 0x100, 0x2000, 0x20202, 0xfffe, 0x3000, 1, 2, 3, 4);
    expect(m.call(iret)).toBe(0);
    expect(m.state.segBase(1)).toBe(0x20000);
    expect(m.state.segBase(2)).toBe(0x30000);
    expect(m.state.get('cpl')).toBe(3);
    expect(m.state.get('codeMode')).toBe(16);
  });

  it('returns to 32-bit code of ring 3 from 64-bit code', () => {
    longMachine();
    m.write64(STACK0, 0x1000n, BigInt(OTHER_CODE3), 0x202n, 0x5000n, BigInt(DATA3));
    expect(m.call(iret)).toBe(0);
    expect(m.state.get('codeMode')).toBe(32);
    expect(m.state.gpr(4)).toBe(0x5000n);
  });
});

describe('system calls', () => {
  it('SYSCALL and SYSRET go to ring 0 and back', () => {
    longMachine();
    enterRing3(m, true);
    m.state.set('efer', m.state.get('efer') | EFER_SCE);
    m.state.set64('star', (0x13n << 48n) | (BigInt(CODE0) << 32n));
    m.state.set64('lstar', 0xffff_ffff_8000_0000n);
    m.state.set64('sfmask', BigInt(EFLAGS_IF));
    m.state.set('eflags', 2 | EFLAGS_IF);
    m.call(syscall);
    expect(m.state.get64('rip')).toBe(0xffff_ffff_8000_0000n);
    expect([m.state.gpr(1), m.state.gpr(11)]).toEqual([0x7000n, 0x202n]);
    expect(m.state.get('eflags')).toBe(2);
    expect([m.state.get('cpl'), m.state.seg(1, 16), m.state.seg(2, 16)]).toEqual([0, CODE0, DATA0]);
    m.call(sysret);
    expect(m.state.get64('rip')).toBe(0x7000n);
    expect(m.state.get('eflags')).toBe(0x202);
    expect([m.state.get('cpl'), m.state.seg(1, 16), m.state.seg(2, 16)]).toEqual([3, 0x23, 0x1b]);
    expect(m.state.get('codeMode')).toBe(64);
  });

  it('SYSCALL without EFER.SCE is undefined', () => {
    longMachine();
    expect(m.call(syscall)).toBe(1);
    expect(m.fault()).toBe('#6');
  });

  it('SYSENTER and SYSEXIT go to ring 0 and back outside IA-32e mode', () => {
    protectedMachine();
    enterRing3(m, false);
    m.state.set('sysenterCs', CODE0);
    m.state.set64('sysenterEsp', 0x8000n);
    m.state.set64('sysenterEip', 0x6000n);
    expect(m.call(sysenter)).toBe(0);
    expect([m.state.get('rip'), m.state.gpr32(4), m.state.get('cpl')]).toEqual([0x6000, 0x8000, 0]);
    m.state.setGpr32(1, 0x9000);
    m.state.setGpr32(2, 0x7777);
    expect(m.call(sysexit)).toBe(0);
    expect([m.state.get('rip'), m.state.gpr32(4), m.state.get('cpl')]).toEqual([0x7777, 0x9000, 3]);
    expect(m.state.seg(1, 16)).toBe(0x1b);
  });

  it('SWAPGS exchanges the two bases', () => {
    longMachine();
    m.state.setSegBase(5, 0x1000);
    m.state.setVa('kernelGsBase', -4096);
    m.call(swapgs);
    expect([m.state.segBase(5), m.state.getVa('kernelGsBase')]).toEqual([-4096, 0x1000]);
  });
});

describe('control registers', () => {
  it('paging with EFER.LME begins IA-32e mode, if PAE is on', () => {
    protectedMachine();
    m.state.set('efer', EFER_LME);
    const on = CR0_PE + 2 ** 31;
    expect(m.call(writeControl, 0, on)).toBe(1);
    m.call(writeControl, 4, CR4_PAE);
    expect(m.call(writeControl, 0, on)).toBe(0);
    expect(m.state.get('efer')).toBe(EFER_LME | EFER_LMA);
    expect(m.call(writeControl, 4, 0)).toBe(1);
    expect(m.call(writeControl, 0, CR0_PE)).toBe(0);
    expect(m.state.get('efer')).toBe(EFER_LME);
  });

  it.each([
    [0, 2 ** 31, 'PG without PE'],
    [0, 0x20000001, 'NW without CD'],
    [0, 2 ** 32, 'high bits of CR0'],
    [4, 1 << 14, 'bits of CR4 that CPUID does not offer'],
    [4, CR4_PCIDE, 'PCIDE outside IA-32e mode'],
    [3, 2n ** 41n, 'physical bits above 40 in CR3'],
    [3, 2n ** 63n, 'bit 63 of CR3 without PCIDE'],
    [8, 16, 'a task priority above 15'],
  ] as const)('CR%i refuses %i: %s', (n, value, _what) => {
    protectedMachine();
    expect(m.call(writeControl, n, value)).toBe(1);
    expect(m.fault()).toBe('#13(0)');
  });

  it('CR1 and CR5 do not exist', () => {
    protectedMachine();
    expect(m.call(readControl, 1)).toBe(1);
    expect(m.fault()).toBe('#6');
  });

  it('a change of WP takes effect on pages in the TLB', () => {
    longMachine();
    map(m, '4-level', 0x200000, 0x200000n | P | PS, 2);
    m.call(writeControl, 0, BigInt((CR0_PE | CR0_PG) >>> 0));
    expect(m.mmu.rmwSlow(0x200000, 4, 0)).not.toBe(0);
    m.call(writeControl, 0, BigInt((CR0_PE | CR0_PG | CR0_WP) >>> 0));
    expect(m.mmu.rmwSlow(0x200000, 4, 0)).toBe(0);
  });

  it('CR3 bit 63 is taken with PCIDE, not stored, and INVPCID needs no more', () => {
    longMachine();
    m.call(writeControl, 4, CR4_PAE | CR4_PCIDE);
    expect(m.call(writeControl, 3, 0x10005n | (1n << 63n))).toBe(0);
    expect(m.state.get64('cr3')).toBe(0x10005n);
    m.write64(0x6000, 5n, 0x1000n);
    expect(m.call(invpcid, 0, 0x6000)).toBe(0);
    expect(m.call(invpcid, 4, 0x6000)).toBe(1);
    m.write64(0x6000, 0x1005n, 0n);
    expect(m.call(invpcid, 1, 0x6000)).toBe(1);
  });

  it('CLTS clears TS, LMSW cannot clear PE', () => {
    protectedMachine();
    m.state.set('cr0', CR0_PE | CR0_TS);
    m.call(clts);
    expect(m.state.get('cr0') & CR0_TS).toBe(0);
    m.call(lmsw, 8);
    expect(m.state.get('cr0') & 0xf).toBe(9);
  });

  it('fixed bits of DR6 and DR7 stay', () => {
    protectedMachine();
    m.call(writeDebug, 6, 0);
    m.call(writeDebug, 7, 0xffffffff);
    expect([m.state.get('dr6'), m.state.get('dr7')]).toEqual([0xffff0ff0, 0xffff2fff]);
    expect(m.call(writeDebug, 7, 2 ** 32)).toBe(1);
  });
});

describe('descriptor tables', () => {
  it('are loaded and stored with 64-bit bases in 64-bit code', () => {
    longMachine();
    m.write64(0x6000, 0x8000_1234_5678_0fffn, 0xffffn);
    expect(m.call(loadTable, 0x6000, 1)).toBe(0);
    expect([m.state.get('idtrLimit'), m.state.get64('idtrBase')]).toEqual([
      0xfff,
      0xffff_8000_1234_5678n,
    ]);
    expect(m.call(storeTable, 0x6100, 1)).toBe(0);
    expect(m.read64(0x6100)).toBe(0x8000_1234_5678_0fffn);
  });

  it('refuse a non-canonical base', () => {
    longMachine();
    m.write64(0x6000, 0x8000_1234_5678_0fffn, 0n);
    expect(m.call(loadTable, 0x6000, 0)).toBe(1);
    expect(m.fault()).toBe('#13(0)');
  });
});

describe('model-specific registers', () => {
  const out = new Uint32Array(2);

  it('EFER refuses reserved bits, and LME while paging is on', () => {
    longMachine();
    expect(writeMsr(m.cx, MSR_EFER, 1 << 12, 0)).toBe(false);
    expect(writeMsr(m.cx, MSR_EFER, EFER_NXE, 0)).toBe(false);
    expect(writeMsr(m.cx, MSR_EFER, EFER_LME | EFER_SCE, 0)).toBe(true);
    expect(m.state.get('efer')).toBe(EFER_LME | EFER_LMA | EFER_SCE);
  });

  it('addresses are canonical, memory types are known', () => {
    longMachine();
    expect(writeMsr(m.cx, MSR_LSTAR, 0, 0x8000)).toBe(false);
    expect(writeMsr(m.cx, MSR_LSTAR, 0, 0xffff8000)).toBe(true);
    expect(writeMsr(m.cx, MSR_PAT, 2, 0)).toBe(false);
  });

  it('the TSC reads back what was written, and its offset is TSC_ADJUST', () => {
    longMachine();
    writeMsr(m.cx, MSR_TSC, 5000, 0);
    readMsr(m.cx, MSR_TSC, out);
    expect(out[0]).toBe(5000);
    readMsr(m.cx, MSR_TSC_ADJUST, out);
    expect(out[0]).toBe(4000);
    m.call(rdtsc);
    expect(m.state.views.u32[(m.state.base + 0x600) >> 2]).toBe(5000);
  });

  it('an AMD processor has no C1E pending', () => {
    longMachine();
    out.fill(7);
    expect(readMsr(m.cx, MSR_INT_PENDING, out)).toBe(true);
    expect([...out]).toEqual([0, 0]);
    expect(writeMsr(m.cx, MSR_INT_PENDING, 1 << 28, 0)).toBe(false);
  });

  it('a performance counter counts clocks from its select on, no other event, and cannot be set', () => {
    longMachine();
    const counter = (n: number) => {
      expect(readMsr(m.cx, MSR_PERF_CTR0 + n, out)).toBe(true);
      return out[0];
    };
    writeMsr(m.cx, MSR_TSC, 5000, 0);
    expect(writeMsr(m.cx, MSR_PERF_EVT_SEL0 + 1, 0x43_0076, 0)).toBe(true);
    expect(writeMsr(m.cx, MSR_PERF_EVT_SEL0 + 2, 0x43_00c0, 0)).toBe(true);
    expect(writeMsr(m.cx, MSR_PERF_CTR0 + 3, 77, 0)).toBe(true);
    writeMsr(m.cx, MSR_TSC, 6000, 0);
    expect([0, 1, 2, 3].map(counter)).toEqual([0, 1000, 0, 0]);
    readMsr(m.cx, MSR_PERF_EVT_SEL0 + 1, out);
    expect(out[0]).toBe(0x43_0076);
    expect(readMsr(m.cx, MSR_PERF_CTR0 + 4, out)).toBe(false);
  });

  it('registers of nobody are the border’s', () => {
    longMachine();
    expect(readMsr(m.cx, 0x4b564d00, out)).toBe(false);
  });
});

describe('ports', () => {
  it('IN writes as much of RAX as was read', () => {
    protectedMachine();
    m.state.setGpr(0, 0xffff_ffff_ffff_ffffn);
    m.call(input, 0x3f8, 1);
    expect(m.state.gpr(0)).toBe(0xffff_ffff_ffff_ff78n);
    m.call(input, 0xcfc, 4);
    expect(m.state.gpr(0)).toBe(0x12345678n);
    expect(m.log).toEqual(['in 3f8/1', 'in cfc/4']);
  });

  it('above IOPL ask the bitmap of the TSS', () => {
    protectedMachine();
    m.state.setSeg(7, 8, 0x2067);
    m.write32(TSS + 0x64, 0x0068_0000);
    m.write32(TSS + 0x68 + 0x7c, 0x00000002 << 24);
    enterRing3(m, false);
    expect(m.call(output, 0x3f8, 1)).toBe(0);
    expect(m.call(output, 0x3f9, 1)).toBe(1);
    expect(m.fault()).toBe('#13(0)');
    expect(m.call(output, 0x3f8, 2)).toBe(1);
  });

  it('INS stores, moves RDI and stays while RCX counts', () => {
    protectedMachine();
    m.state.setGpr32(2, 0x1f0);
    m.state.setGpr32(1, 2);
    m.state.setGpr32(7, 0x6000);
    m.insn.asize = 32;
    m.state.setVa('rip', 0x7002);
    m.call(inputString, 0x6000, 2, 1);
    expect(m.read32(0x6000)).toBe(0x5678);
    expect([m.state.gpr32(7), m.state.gpr32(1), m.state.get('rip')]).toEqual([0x6002, 1, 0x7000]);
    m.state.setVa('rip', 0x7002);
    m.call(inputString, 0x6002, 2, 1);
    expect(m.state.get('rip')).toBe(0x7002);
  });

  it('INS does not read the port when the store would fault', () => {
    longMachine();
    expect(m.call(inputString, 0x5000000, 1, 0)).toBe(1);
    expect(m.log).toEqual([]);
  });
});

describe('flags', () => {
  it('POPF at ring 0 takes IOPL and AC, at ring 3 neither IOPL nor IF', () => {
    protectedMachine();
    m.call(popf, 0x43202);
    expect(m.state.get('eflags')).toBe(0x43202);
    m.state.set('eflags', 2);
    enterRing3(m, false);
    m.call(popf, 0x43202);
    expect(m.state.get('eflags')).toBe(2 | EFLAGS_AC);
  });

  it('STI casts a shadow only when IF was clear', () => {
    protectedMachine();
    m.call(sti);
    expect(m.state.get('shadow')).toBe(1);
    m.state.set('shadow', 0);
    m.call(sti);
    expect(m.state.get('shadow')).toBe(0);
  });
});

describe('CPUID', () => {
  const out = new Uint32Array(4);
  const leaf = (n: number, sub = 0, model = DEFAULT_MODEL) => {
    cpuidLeaf(model, n, sub, out);
    return [...out] as [number, number, number, number];
  };

  it('puts every feature of the model where the table says, and no other', () => {
    for (const [name, { leaf: at, subleaf, register, bit }] of Object.entries(FEATURE_BITS)) {
      const value = leaf(at, subleaf)[['eax', 'ebx', 'ecx', 'edx'].indexOf(register)] as number;
      const has = ((value >>> bit) & 1) === 1;
      const fixed = register === 'eax' && at === 0xd;
      if (!fixed) expect([name, has]).toEqual([name, DEFAULT_MODEL.features.has(name as 'fpu')]);
    }
  });

  it('tells vendor, family, address sizes and TSC frequency', () => {
    const [, ebx, ecx, edx] = leaf(0);
    const bytes = [ebx, edx, ecx].flatMap((w) => [0, 8, 16, 24].map((n) => (w >>> n) & 255));
    expect(String.fromCharCode(...bytes)).toBe('AuthenticAMD');
    expect(leaf(1)[0]).toBe(0xa10f10);
    expect(leaf(0x80000008)[0]).toBe(0x3028);
    expect(leaf(0x15).slice(0, 3)).toEqual([1, 1, 1e9]);
  });

  it('has what the machine adds, and zeros beyond its leaves', () => {
    const model = cpuModel(['apic', 'x2apic', 'hypervisor'], { apicId: 3, cpus: 4 });
    expect((leaf(1, 0, model)[1] >>> 24) & 255).toBe(3);
    expect(leaf(0xb, 1, model)).toEqual([2, 4, 0x201, 3]);
    expect(leaf(0x40000000, 0, model)).toEqual([0, 0, 0, 0]);
    expect(leaf(0x7fffffff)).toEqual([0, 0, 0, 0]);
  });

  it('exits when the policy says so, without a trace', () => {
    protectedMachine();
    setPolicy(m.state, { exceptions: 0, instructions: POLICY_CPUID });
    m.state.setGpr32(0, 7);
    expect(m.call(cpuid)).toBe(1);
    expect(exitBit(m.state.get('faultVector'))).toBe(POLICY_CPUID);
    expect(m.state.gpr32(0)).toBe(7);
  });
});
