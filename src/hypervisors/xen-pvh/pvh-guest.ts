// What the shared half of Xen needs of a PVH guest: memory through its own page tables, upcalls by vector, waiting.

import { EFLAGS_IF } from '../../cpu/control-bits.ts';
import { DELIVERY } from '../../machine/devices/apic-bus.ts';
import type { Platform } from '../define.ts';
import type { XenGuest } from '../xen/memory.ts';
import type { Physmap } from './physmap.ts';

const PAGE_BYTES = 4096;
/** VMCALL and VMMCALL (SDM 3C, APM 3). */
const CALL_BYTES = 3;

export function pvhGuest(platform: Platform, physmap: Physmap, resume: () => number): XenGuest {
  const { cpu, lapic, ram } = platform;
  const { mmu, state } = cpu;
  return {
    window: cpu.views.data,
    peek(gva, bytes) {
      if (toPageEnd(gva) < bytes) return -1;
      const address = mmu.ramAddress(gva, false, 'system');
      return address < 0 ? -1 : cpu.layout.ramBase + address;
    },
    poke: () => -1,
    readVirtual(gva, bytes) {
      const out = new Uint8Array(bytes);
      for (let done = 0; done < bytes; ) {
        const count = Math.min(bytes - done, toPageEnd(gva + done));
        const address = mmu.ramAddress(gva + done, false, 'system');
        if (address < 0) return null;
        out.set(ram.view(address, count)!, done);
        done += count;
      }
      return out;
    },
    writeVirtual(gva, bytes) {
      for (let done = 0; done < bytes.length; ) {
        const count = Math.min(bytes.length - done, toPageEnd(gva + done));
        const address = mmu.ramAddress(gva + done, true, 'system');
        if (address < 0) return false;
        ram.write(address, bytes.subarray(done, done + count));
        done += count;
      }
      return true;
    },
    frameAddress: (frame) => physmap.addressOf(frame),
    // Nothing beneath a translated guest depends on what its frames hold.
    holdFrame: () => true,
    releaseFrame: () => {},
    frameNumber: (address) => physmap.gfnOf(address),
    upcall(vcpu) {
      // A vector of the vCPU's own goes through its local APIC, as an edge; any other way follows the pending bit.
      if (vcpu.state.upcallVector === 0) platform.interrupt.set(true);
      else vcpu.state.upcallHeld = !lapic?.accept(DELIVERY.fixed, vcpu.state.upcallVector, false);
    },
    interruptsOff: () => (state.get('eflags') & EFLAGS_IF) === 0,
    rewind() {
      const rip = state.getVa('rip') - CALL_BYTES;
      state.setVa('rip', state.get('codeMode') === 64 ? rip : rip >>> 0);
    },
    block() {
      state.set('halted', 1);
      cpu.requestExit();
    },
    wake() {
      state.set('halted', 0);
    },
    hostFrame: () => physmap.hostFrame(),
    reclaim: (address) => physmap.reclaim(address),
    resume,
  };
}

/** Pages are contiguous in the address, not in memory. */
function toPageEnd(gva: number): number {
  const within = gva - Math.floor(gva / PAGE_BYTES) * PAGE_BYTES;
  return PAGE_BYTES - within;
}
