// cpu.iret must restore flags and go where its frame says; a null code selector must fault.

import { defineProbe } from '../define.ts';

const GP = 13;
const [CF, ZF, DF, IF] = [1, 0x40, 0x400, 0x200];

export const cpuIret = defineProbe<{
  flags: number;
  reached: number;
  kept: number;
  refused: number;
}>({
  id: 'cpu-iret',
  title: 'cpu.iret restores the flags of its frame, and refuses a null CS',
  ref: 'SDM 2A IRET',
  about: ['cpu.iret'],
  runsOn: 'all',
  guest(a) {
    const wide = a.bits === 64;
    const frame = (cs: string, target: string) => {
      if (wide) a.text('mov rcx, rsp; mov eax, ss; push rax; push rcx');
      a.text(`push ${CF | ZF | DF | 2}; ${cs}; push {ax}; mov eax, 0x3c3c; push ${target}`);
      a.text('jmp {word} ptr [ops.cpu.iret]');
    };
    const [target, back] = [a.fresh('iret'), a.fresh('iret')];
    a.op('irq.irq_disable');
    // The selector as frames have it, which is not always that in CS.
    a.text('int3');
    frame('mov eax, [trap.cs]; and eax, 0xffff', target);
    a.text(`${target}:`).report('kept', 'eax');
    a.text(`${wide ? 'pushfq; pop rax' : 'pushfd; pop eax'}; cld`).report('flags', 'eax');
    a.text('mov eax, 1').report('reached', 'eax');
    a.text(`mov {word} ptr [kernel.escape], ${back}; mov [kernel.recover_sp], {sp}`);
    // Null of the kernel's ring: one of ring 0 ends a 32-bit domain of Xen's.
    frame(wide ? 'xor eax, eax' : 'mov eax, [kernel.ring]', target);
    a.text(`${back}:; mov eax, [trap.vector]`).report('refused', 'eax');
  },
  check({ flags, reached, kept, refused }, t) {
    const ring0 = t.facts.traits.kernelRing === 0;
    const mask = CF | ZF | DF | (ring0 ? IF : 0);
    t.equal(flags & mask, CF | ZF | DF, 'flags');
    t.equal(reached, 1, 'the place');
    t.equal(kept, 0x3c3c, 'a register that the frame does not hold');
    t.fault(refused, GP, 'a null CS');
  },
});
