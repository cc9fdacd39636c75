// cpu.write_msr and cpu.read_msr must keep a value, and answer with an error for a register that is not there.

import { defineProbe } from '../define.ts';

const [MSR_APIC_BASE, MSR_SYSENTER_ESP, MSR_KERNEL_GS_BASE, NONE] = [
  0x1b, 0x175, 0xc0000102, 0x12345678,
];

export const cpuMsr = defineProbe<{
  written: number;
  low: number;
  read: number;
  known: number;
  missing: number;
  missing_write: number;
}>({
  id: 'cpu-msr',
  title: 'MSRs keep what is written, and missing ones give an error instead of a trap',
  ref: 'SDM 2B RDMSR, WRMSR',
  about: ['cpu.read_msr', 'cpu.write_msr'],
  runsOn: ({ traits }) => (traits.privileged === 'fault' ? 'MSRs fault' : null),
  guest(a) {
    const number = a.bits === 64 ? MSR_KERNEL_GS_BASE : MSR_SYSENTER_ESP;
    a.text(`mov ecx, ${number}; mov eax, 0x123450; xor edx, edx`).op('cpu.write_msr');
    a.report('written', 'ecx').text(`mov ecx, ${number}`).op('cpu.read_msr');
    a.report('low', 'eax').report('read', 'ecx');
    a.text(`mov ecx, ${MSR_APIC_BASE}`).op('cpu.read_msr').report('known', 'ecx');
    a.text(`mov ecx, ${NONE}`).op('cpu.read_msr').report('missing', 'ecx');
    a.text(`mov ecx, ${NONE}; xor eax, eax; xor edx, edx`).op('cpu.write_msr');
    a.report('missing_write', 'ecx');
  },
  check({ written, low, read, known, missing, missing_write }, t) {
    const { bits, traits } = t.facts;
    // SYSENTER's are the hypervisor's, and bases of segments are in no MSR of 32 bits (Xen 4.17, pv/emul-priv-op.c).
    const refused = bits === 32 && traits.privileged === 'emulated';
    t.equal(written, refused ? 1 : 0, 'the answer of write_msr');
    t.equal(read, refused ? 1 : 0, 'the answer of read_msr');
    if (!refused) t.equal(low, 0x123450, 'the value');
    t.equal(known, 0, 'the answer of read_msr for IA32_APIC_BASE');
    t.equal(missing, 1, 'the answer of read_msr for a register that is not there');
    t.equal(missing_write, 1, 'the answer of write_msr for one');
  },
});
