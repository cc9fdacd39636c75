// cpu.write_idt_entry must change one gate: present for a while, then not.

import { defineProbe } from '../define.ts';

const NP = 11;
const GP = 13;
/** One that no processor here raises, and that a hypervisor with a table of its own does not take for an interrupt. */
const VECTOR = 0x1d;

export const cpuIdtEntry = defineProbe<{
  reached: number;
  absent: number;
  absent_error: number;
  gone: number;
}>({
  id: 'cpu-idt-entry',
  title: 'cpu.write_idt_entry adds a gate, and takes it away',
  ref: 'SDM 3A 6.11',
  about: ['cpu.write_idt_entry'],
  runsOn: 'all',
  guest(a) {
    const [handler, over] = [a.fresh('handler'), a.fresh('handler')];
    a.text(`jmp ${over}; ${handler}:; mov dword ptr [kernel.scratch+64], 0x5050`);
    a.text(`${a.bits === 64 ? 'iretq' : 'iretd'}; ${over}:`);
    const write = () =>
      a
        .text(`mov {ax}, kernel.idt; mov edx, ${VECTOR}; mov {cx}, kernel.scratch`)
        .op('cpu.write_idt_entry');
    const gate = (attributes: number) => {
      a.text(
        `mov eax, ${handler}; mov ecx, eax; and eax, 0xffff; mov edx, cs; shl edx, 16; or eax, edx`,
      );
      a.text(
        `mov [kernel.scratch], eax; and ecx, 0xffff0000; or ecx, ${attributes}; mov [kernel.scratch+4], ecx`,
      );
      // For INT n of the kernel's own ring.
      a.text('mov edx, [kernel.ring]; shl edx, 13; or [kernel.scratch+4], edx');
      a.text('mov dword ptr [kernel.scratch+8], 0; mov dword ptr [kernel.scratch+12], 0');
      write();
    };
    gate(0x8e00);
    a.text(
      `mov dword ptr [kernel.scratch+64], 0; int ${VECTOR}; mov eax, [kernel.scratch+64]`,
    ).report('reached', 'eax');
    gate(0x0e00);
    a.tryInsn(`int ${VECTOR}`, 'absent');
    for (let n = 0; n < 16; n += 4) a.text(`mov dword ptr [kernel.scratch+${n}], 0`);
    write();
    a.tryInsn(`int ${VECTOR}`, 'gone');
  },
  check({ reached, absent, absent_error, gone }, t) {
    t.equal(reached, 0x5050, 'what its handler has left');
    // A gate that is kept elsewhere is not there at all without P.
    const kept = t.facts.traits.privileged === 'fault';
    t.fault(absent, kept ? GP : NP, 'the gate without P');
    t.equal(absent_error, VECTOR * 8 + 2, 'its error code');
    t.fault(gone, GP, 'the vector without a gate');
  },
});
