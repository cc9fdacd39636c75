// The local APIC, and the first state of further processors.

import { vmiApState } from '../abi.ts';
import { answer, type VmiVcpu } from '../vcpu.ts';
import { defineCall } from './define.ts';

/** IA32_APIC_BASE (SDM 3A 11.4.4). */
const MSR_APIC_BASE = 0x1b;
const REGISTER = 0xfff;

/** The register by its address, as the specification has it, or by its offset, as 2.6.32 does. */
export const apicWrite = defineCall({
  number: 63,
  name: 'APICWrite',
  takes: { register: 'eax', value: 'edx' },
  handle(vcpu, { eax, edx }) {
    vcpu.platform.cpu.cx.border.mmioWrite(apicBase(vcpu) + (eax & REGISTER), 4, edx, 0);
    return 0;
  },
});

export const apicRead = defineCall({
  number: 64,
  name: 'APICRead',
  takes: { register: 'eax' },
  gives: 'eax',
  handle(vcpu, { eax }) {
    const at = apicBase(vcpu) + (eax & REGISTER);
    const { out } = vcpu;
    vcpu.platform.cpu.cx.border.mmioRead(at, 4, out);
    return answer(vcpu, out[0]!);
  },
});

/** Read, so that one that cannot be read faults; there is no other processor that could start in it. */
export const setInitialApState = defineCall({
  number: 62,
  name: 'SetInitialAPState',
  takes: { state: 'eax', apicId: 'edx' },
  handle: ({ platform }, { eax }) =>
    platform.cpu.mmu.read(eax, vmiApState.size, 'current') ? 0 : 1,
});

function apicBase({ platform, out }: VmiVcpu): number {
  platform.devices.rdmsr(MSR_APIC_BASE, out);
  return (out[0]! & ~REGISTER) >>> 0;
}
