// Slow paths for CPUID, the time-stamp counter, model-specific registers and calls to a hypervisor.

import { CR4_OSXSAVE, CR4_TSD, GP, UD } from '../control-bits.ts';
import { readMsr, writeMsr } from '../msr.ts';
import { exits, POLICY_CPUID, POLICY_RDMSR, POLICY_RDTSC, POLICY_WRMSR } from '../policy.ts';
import { type Cx, defineSlow } from './define.ts';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const CPUID_OSXSAVE = 1 << 27;
const CPUID_XSAVE = 1 << 26;

export const cpuid = defineSlow({
  name: 'cpuid',
  ref: 'SDM 2A CPUID',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_CPUID)) return 1;
    const out = new Uint32Array(4);
    const leaf = state.gpr32(RAX);
    cx.border.cpuid(leaf, state.gpr32(RCX), out);
    const [eax, ebx, ecx, edx] = out as unknown as [number, number, number, number];
    // OSXSAVE tells what the operating system has set in CR4.
    const os = leaf === 1 && ecx & CPUID_XSAVE && state.get('cr4') & CR4_OSXSAVE;
    state.setGpr32(RAX, eax);
    state.setGpr32(RBX, ebx);
    state.setGpr32(RCX, os ? ecx | CPUID_OSXSAVE : ecx);
    state.setGpr32(RDX, edx);
    return 0;
  },
});

/** Results: low and high half (32 each). */
export const rdtsc = defineSlow({
  name: 'rdtsc',
  ref: 'SDM 2B RDTSC',
  pure: true,
  run(cx) {
    const { state } = cx;
    if (state.get('cr4') & CR4_TSD && state.get('cpl') > 0) return state.raise(GP, 0);
    if (exits(state, POLICY_RDTSC)) return 1;
    const tsc = BigInt.asUintN(64, cx.tsc());
    state.ret32(0, Number(tsc & 0xffffffffn));
    state.ret32(1, Number(tsc >> 32n));
    return 0;
  },
});

export const rdmsr = defineSlow({
  name: 'rdmsr',
  ref: 'SDM 2B RDMSR',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_RDMSR)) return 1;
    const out = new Uint32Array(2);
    if (!readMsr(cx, state.gpr32(RCX), out)) return state.raise(GP, 0);
    state.setGpr32(RAX, out[0] as number);
    state.setGpr32(RDX, out[1] as number);
    return 0;
  },
});

export const wrmsr = defineSlow({
  name: 'wrmsr',
  ref: 'SDM 2B WRMSR',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_WRMSR)) return 1;
    const done = writeMsr(cx, state.gpr32(RCX), state.gpr32(RAX), state.gpr32(RDX));
    return done ? 0 : state.raise(GP, 0);
  },
});

/** Args: 0 VMCALL, 1 VMMCALL (32). */
export const hypercall = defineSlow({
  name: 'hypercall',
  ref: 'SDM 3C VMCALL, APM 3 VMMCALL',
  run(cx) {
    const instruction = cx.state.arg32(0) === 0 ? 'vmcall' : 'vmmcall';
    const answer = cx.border.hypercall(instruction);
    if (answer === true) return 0;
    return answer === 'faulted' ? 1 : undefinedHere(cx);
  },
});

function undefinedHere(cx: Cx): 1 {
  return cx.state.raise(UD, null);
}
