// Page tables, translations, and the modes in which their updates may wait.

import { VMI_FLUSH_GLOBAL, VMI_LAZY_MMU_UPDATES, VMI_LINEAR_MAP_SLOTS } from '../abi.ts';
import { isLazy, settle, store } from '../lazy.ts';
import { answer } from '../vcpu.ts';
import { defineCall } from './define.ts';

export const setPxe = defineCall({
  number: 38,
  name: 'SetPxE',
  takes: { entry: 'eax', at: 'edx', flags: 'ecx' },
  handle: (vcpu, { eax, edx }) =>
    store(vcpu, edx, 4, eax, 0, isLazy(vcpu.state, VMI_LAZY_MMU_UPDATES)),
});

/** Both halves at once: no walk meets one of them alone. */
export const setPxeLong = defineCall({
  number: 39,
  name: 'SetPxELong',
  takes: { low: 'eax', high: 'edx', at: 'ecx', flags: 'stack1' },
  handle: (vcpu, { eax, edx, ecx }) =>
    store(vcpu, ecx, 8, eax, edx, isLazy(vcpu.state, VMI_LAZY_MMU_UPDATES)),
});

/** The guest has changed the entry itself, where the processor's walks find it. */
export const updatePxe = defineCall({
  number: 40,
  name: 'UpdatePxE',
  takes: { at: 'eax', flags: 'edx' },
  handle: () => 0,
});

export const updatePxeLong = defineCall({
  number: 41,
  name: 'UpdatePxELong',
  takes: { at: 'eax', flags: 'edx' },
  handle: () => 0,
});

/** Machine and guest-physical addresses are the same: EAX comes back as it was. */
export const machineToPhysical = defineCall({
  number: 42,
  name: 'MachineToPhysical',
  takes: { address: 'eax' },
  gives: 'eax',
  handle: (vcpu, { eax }) => answer(vcpu, eax),
});

export const physicalToMachine = defineCall({
  number: 43,
  name: 'PhysicalToMachine',
  takes: { address: 'eax' },
  gives: 'eax',
  handle: (vcpu, { eax }) => answer(vcpu, eax),
});

/** Tables are read where they are. What is in the page stays, whatever VMI_PAGE_ZEROED says: it is set for full ones too. */
export const allocatePage = defineCall({
  number: 44,
  name: 'AllocatePage',
  takes: { frame: 'eax', flags: 'edx', source: 'ecx', first: 'stack1', count: 'stack2' },
  settles: true,
  handle: () => 0,
});

export const releasePage = defineCall({
  number: 45,
  name: 'ReleasePage',
  takes: { frame: 'eax', flags: 'edx' },
  settles: true,
  handle: () => 0,
});

export const invalPage = defineCall({
  number: 46,
  name: 'InvalPage',
  takes: { address: 'eax' },
  settles: true,
  handle({ platform }, { eax }) {
    platform.cpu.mmu.flushPage(eax);
    return 0;
  },
});

/** Non-global translations go, whether VMI_FLUSH_TLB is set or not: a guest always sets it. */
export const flushTlb = defineCall({
  number: 47,
  name: 'FlushTLB',
  takes: { how: 'eax' },
  settles: true,
  handle({ platform }, { eax }) {
    const { mmu } = platform.cpu;
    if (eax & VMI_FLUSH_GLOBAL) mmu.flushAll();
    else mmu.flushNonGlobal();
    return 0;
  },
  operation: ({ eax }) => (eax & VMI_FLUSH_GLOBAL ? 'mmu.flush_tlb_kernel' : 'mmu.flush_tlb_user'),
});

/** A hint, kept to be looked at: our walks need none. A slot that does not exist is left alone. */
export const setLinearMapping = defineCall({
  number: 48,
  name: 'SetLinearMapping',
  takes: { slot: 'eax', address: 'edx', pages: 'ecx', frame: 'stack1' },
  handle({ state }, { eax, edx, ecx, stack1 }) {
    if (eax < VMI_LINEAR_MAP_SLOTS) state.linearMaps[eax] = [edx, ecx, stack1];
    return 0;
  },
});

export const setLazyMode = defineCall({
  number: 73,
  name: 'SetLazyMode',
  takes: { mode: 'eax' },
  handle(vcpu, { eax }) {
    settle(vcpu);
    vcpu.state.lazy = eax & 3;
    return 0;
  },
});
