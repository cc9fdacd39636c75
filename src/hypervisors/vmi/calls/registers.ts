// Control and debug registers, MSRs, counters, CPUID, caches: each as the instruction of its name.

import { GP } from '../../../cpu/control-bits.ts';
import { VMI_LAZY_CPU_STATE } from '../abi.ts';
import { isLazy, loadCr3 } from '../lazy.ts';
import { answer, answer64, natively, result32 } from '../vcpu.ts';
import { defineCall } from './define.ts';

const CR0 = 0;
const CR2 = 2;
const CR4 = 4;

export const cpuid = defineCall({
  number: 0,
  name: 'CPUID',
  takes: { leaf: 'eax', subleaf: 'ecx' },
  gives: 'eax, ebx, ecx, edx',
  loses: 'flags',
  handle: (vcpu) => natively(vcpu, 'cpuid'),
});

/** A register that is not there is #GP, as from the instruction. */
export const wrmsr = defineCall({
  number: 1,
  name: 'WRMSR',
  takes: { register: 'ecx', low: 'eax', high: 'edx' },
  handle: (vcpu) => natively(vcpu, 'wrmsr'),
});

export const rdmsr = defineCall({
  number: 2,
  name: 'RDMSR',
  takes: { register: 'ecx' },
  gives: 'edx:eax',
  handle: (vcpu) => natively(vcpu, 'rdmsr'),
});

export const setCr0 = defineCall({
  number: 15,
  name: 'SetCR0',
  takes: { value: 'eax' },
  settles: true,
  handle: (vcpu, { eax }) => natively(vcpu, 'write_control', CR0, eax),
});

export const setCr2 = defineCall({
  number: 16,
  name: 'SetCR2',
  takes: { value: 'eax' },
  handle: (vcpu, { eax }) => natively(vcpu, 'write_control', CR2, eax),
});

export const setCr3 = defineCall({
  number: 17,
  name: 'SetCR3',
  takes: { root: 'eax' },
  handle: (vcpu, { eax }) => loadCr3(vcpu, eax, isLazy(vcpu.state, VMI_LAZY_CPU_STATE)),
});

export const setCr4 = defineCall({
  number: 18,
  name: 'SetCR4',
  takes: { value: 'eax' },
  settles: true,
  handle: (vcpu, { eax }) => natively(vcpu, 'write_control', CR4, eax),
});

export const getCr0 = defineCall({
  number: 19,
  name: 'GetCR0',
  gives: 'eax',
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.get('cr0')),
});

export const getCr2 = defineCall({
  number: 20,
  name: 'GetCR2',
  gives: 'eax',
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.getVa('cr2')),
});

export const getCr3 = defineCall({
  number: 21,
  name: 'GetCR3',
  gives: 'eax',
  settles: true,
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.getVa('cr3')),
});

export const getCr4 = defineCall({
  number: 22,
  name: 'GetCR4',
  gives: 'eax',
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.get('cr4')),
});

/** There are no caches to write back. */
export const wbinvd = defineCall({ number: 23, name: 'WBINVD', handle: () => 0 });

export const setDr = defineCall({
  number: 24,
  name: 'SetDR',
  takes: { register: 'eax', value: 'edx' },
  handle: (vcpu, { eax, edx }) => natively(vcpu, 'write_debug', eax, edx),
});

export const getDr = defineCall({
  number: 25,
  name: 'GetDR',
  takes: { register: 'eax' },
  gives: 'eax',
  handle(vcpu, { eax }) {
    if (natively(vcpu, 'read_debug', eax)) return 1;
    return answer(vcpu, result32(vcpu));
  },
});

/** The processor has no performance counters: as on one that lacks the register, #GP(0). SDM 2B RDPMC. */
export const rdpmc = defineCall({
  number: 26,
  name: 'RDPMC',
  takes: { counter: 'ecx' },
  gives: 'edx:eax',
  handle: (vcpu) => vcpu.platform.cpu.state.raise(GP, 0),
});

export const rdtsc = defineCall({
  number: 27,
  name: 'RDTSC',
  gives: 'edx:eax',
  handle: (vcpu) => answer64(vcpu, BigInt.asUintN(64, vcpu.platform.cpu.cx.tsc())),
});

export const clts = defineCall({
  number: 28,
  name: 'CLTS',
  handle: (vcpu) => natively(vcpu, 'clts'),
});
