// An interrupt must wait while interrupts are off, come once they are on, and come once.

import { armClock, waitForPending, waitForTick } from '../clock.ts';
import { defineProbe } from '../define.ts';

export const irqDelivery = defineProbe<{
  held: number;
  enabled: number;
  restored: number;
  later: number;
}>({
  id: 'irq-delivery',
  title: 'an interrupt waits for irq_enable, or restore_fl, and comes once',
  ref: 'SDM 3A 6.8.1',
  about: ['irq.irq_enable', 'irq.restore_fl', 'apic.setup_boot_clock'],
  runsOn: 'all',
  guest(a) {
    const ticks = (name: string) => a.text('mov eax, [kernel.ticks]').report(name, 'eax');
    for (const [name, enable] of [
      ['enabled', () => a.op('irq.irq_enable')],
      ['restored', () => a.text('mov eax, 0x202').op('irq.restore_fl')],
    ] as const) {
      a.op('irq.irq_disable').text('mov dword ptr [kernel.ticks], 0');
      armClock(a, 2000);
      waitForPending(a); // In vain.
      ticks('held');
      enable();
      a.text('nop');
      ticks(name);
    }
    waitForTick(a, 2);
    ticks('later');
    a.op('irq.irq_disable');
  },
  check({ held, enabled, restored, later }, t) {
    t.equal(held, 0, 'interrupts while they were off');
    t.equal(enabled, 1, 'interrupts after irq_enable');
    t.equal(restored, 1, 'interrupts after restore_fl');
    t.equal(later, 1, 'interrupts some time later');
  },
});
