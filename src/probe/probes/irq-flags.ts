// irq.save_fl must say what irq_disable, irq_enable and restore_fl have done.

import { defineProbe } from '../define.ts';

const IF = 0x200;

export const irqFlags = defineProbe<{
  off: number;
  on: number;
  restored_off: number;
  restored_on: number;
}>({
  id: 'irq-flags',
  title: 'irq.save_fl follows irq_disable, irq_enable and restore_fl',
  ref: 'SDM 2B PUSHF, CLI, STI',
  about: ['irq.save_fl', 'irq.restore_fl', 'irq.irq_disable', 'irq.irq_enable'],
  runsOn: 'all',
  guest(a) {
    const say = (name: string) => a.op('irq.save_fl').report(name, 'eax');
    a.op('irq.irq_disable');
    say('off');
    a.op('irq.irq_enable');
    say('on');
    a.text('mov eax, 2').op('irq.restore_fl');
    say('restored_off');
    a.text(`mov eax, ${IF | 2}`).op('irq.restore_fl');
    say('restored_on');
    a.op('irq.irq_disable');
  },
  check({ off, on, restored_off, restored_on }, t) {
    t.equal(off & IF, 0, 'IF after irq_disable');
    t.equal(on & IF, IF, 'IF after irq_enable');
    t.equal(restored_off & IF, 0, 'IF after restore_fl of 0');
    t.equal(restored_on & IF, IF, 'IF after restore_fl of IF');
  },
});
