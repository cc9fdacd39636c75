// cpu.iret must restore flags and go where its frame says; a null code selector must fault.

import { defineProbe } from '../define.ts';

const GP = 13;
const [CF, ZF, DF, IF] = [1, 0x40, 0x400, 0x200];

export const cpuIret = defineProbe<{ flags: number; reached: number; refused: number }>({
  id: 'cpu-iret',
  title: 'cpu.iret restores the flags of its frame, and refuses a null CS',
  ref: 'SDM 2A IRET',
  about: ['cpu.iret'],
  runsOn: ({ traits }) =>
    traits.kernelRing === 0 ? null : "the frame of another ring is the binding's own",
  guest(a) {
    const wide = a.bits === 64;
    const frame = (cs: string, target: string) => {
      if (wide) a.text('mov rcx, rsp; mov eax, ss; push rax; push rcx');
      a.text(
        `push ${CF | ZF | DF | 2}; ${cs}; push {ax}; push ${target}; jmp {word} ptr [ops.cpu.iret]`,
      );
    };
    const target = a.fresh('iret');
    a.op('irq.irq_disable');
    frame('mov eax, cs', target);
    a.text(`${target}:; ${wide ? 'pushfq; pop rax' : 'pushfd; pop eax'}; cld`).report(
      'flags',
      'eax',
    );
    a.text('mov eax, 1').report('reached', 'eax');
    a.attempt('refused', () => frame('xor eax, eax', target));
  },
  check({ flags, reached, refused }, t) {
    t.equal(flags & (CF | ZF | DF | IF), CF | ZF | DF, 'flags');
    t.equal(reached, 1, 'the place');
    t.fault(refused, GP, 'a null CS');
  },
});
