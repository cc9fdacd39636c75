// cpu.set_debugreg must keep an address and arm a watchpoint, cpu.get_debugreg give both back.

import { defineProbe } from '../define.ts';

const DB = 1;
/** Watch four bytes for writes by DR0, in this address space (SDM 3B 17.2.4); bit 10 reads as 1. */
const DR7_WATCH = 0x000d0402;
const DR7_OFF = 0x400;

export const cpuDebugreg = defineProbe<{
  address: number;
  control: number;
  hit: number;
  status: number;
  off: number;
}>({
  id: 'cpu-debugreg',
  title: 'debug registers keep their values, and a write to a watched address traps',
  ref: 'SDM 3B 17.2',
  about: ['cpu.set_debugreg', 'cpu.get_debugreg'],
  runsOn: 'all',
  guest(a) {
    const set = (n: number, value: string | number) =>
      a.text(`mov eax, ${n}; mov edx, ${value}`).op('cpu.set_debugreg');
    const get = (n: number, name: string) =>
      a.text(`mov eax, ${n}`).op('cpu.get_debugreg').report(name, 'eax');
    set(6, 0);
    set(0, 'kernel.scratch');
    get(0, 'address');
    set(7, DR7_WATCH);
    get(7, 'control');
    // The trap comes behind the store.
    a.attempt('hit', (b) => b.text('mov dword ptr [kernel.scratch], 1; nop; nop'));
    get(6, 'status');
    set(7, DR7_OFF);
    a.attempt('off', (b) => b.text('mov dword ptr [kernel.scratch], 2; nop'));
  },
  check({ address, control, hit, status, off }, t) {
    t.ok(address > 0x100000, 'DR0 holds the address of the kernel');
    t.equal(control & 0xffff00ff & ~0x400, DR7_WATCH & ~0x400, 'DR7');
    t.fault(hit, DB, 'a store to the watched address');
    t.equal(status & 0xf, 1, 'DR6 names DR0');
    t.fault(off, null, 'a store when nothing is watched');
  },
});
