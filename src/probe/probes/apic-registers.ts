// apic.read and apic.write must reach the local APIC: its version, and a register that keeps its value.

import { defineProbe } from '../define.ts';

const [ID, VERSION, TPR, EOI] = [0x20, 0x30, 0x80, 0xb0];

export const apicRegisters = defineProbe<{
  version: number;
  priority: number;
  restored: number;
  id: number;
  eoi: number;
}>({
  id: 'apic-registers',
  title: 'the local APIC has a version and keeps its task priority',
  ref: 'SDM 3A 11.4.8, 11.8.3.1',
  about: ['apic.read', 'apic.write', 'apic.eoi_write'],
  runsOn: ({ traits }) => (traits.pc ? null : 'there is no local APIC'),
  guest(a) {
    const read = (register: number, name: string) =>
      a.text(`mov eax, ${register}`).op('apic.read').report(name, 'eax');
    read(ID, 'id');
    read(VERSION, 'version');
    a.text(`mov eax, ${TPR}; mov edx, 0x30`).op('apic.write');
    read(TPR, 'priority');
    a.text(`mov eax, ${TPR}; xor edx, edx`).op('apic.write');
    read(TPR, 'restored');
    a.attempt('eoi', (b) =>
      b.op('apic.eoi_write').text(`mov eax, ${EOI}; xor edx, edx`).op('apic.write'),
    );
  },
  check({ version, priority, restored, eoi }, t) {
    t.ok((version & 0xf0) === 0x10, 'a version of an integrated APIC');
    t.equal(priority, 0x30, 'the task priority');
    t.equal(restored, 0, 'the task priority, back at 0');
    t.fault(eoi, null, 'an EOI with nothing in service');
  },
});
