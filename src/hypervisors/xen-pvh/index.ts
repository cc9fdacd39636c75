// Xen PVH: a guest in a hardware container whose only devices are event channels, rings and a local APIC.

import { InputError } from '../../base/errors.ts';
import { NO_EXITS } from '../../cpu/policy.ts';
import { FIELDS } from '../../cpu/state.ts';
import { pvhEntry } from '../../image/index.ts';
import { startByPvh } from '../boot/pvh.ts';
import { type Attached, defineInterface, type Guest, type Platform } from '../define.ts';
import { type FeatureChanges, hardwareBorder } from '../hw/border.ts';
import { EPERM } from '../xen/abi/errno.ts';
import * as abi from '../xen/abi/hvm.ts';
import { SHUTDOWN_poweroff, SHUTDOWN_reboot } from '../xen/abi/sched.ts';
import { callFacts } from '../xen/call-facts.ts';
import { XEN_DEVICES } from '../xen/devices/devices.ts';
import { createDomain } from '../xen/domain.ts';
import { hypercall } from '../xen/hypercall.ts';
import { e820 } from '../xen/memory-operations.ts';
import { XEN_OMITS } from '../xen/operations.ts';
import { forgetDomain, placeSharedInfo } from '../xen/resume.ts';
import { endDomain } from '../xen/shutdown.ts';
import { periodFired, timerFired } from '../xen/time.ts';
import { createToolstack, type Toolstack } from '../xen/toolstack.ts';
import { upcallPending, wakeUp } from '../xen/upcall.ts';
import { watchdogFired } from '../xen/watchdog.ts';
import { PVH_CALL_LIST, PVH_CALLS } from './calls.ts';
import { xenLeaf } from './cpuid.ts';
import { xenPvhGuest } from './guest.ts';
import { writeHypercallPage } from './hypercall-page.ts';
import { guestMemoryMap } from './memory-map.ts';
import { XEN_PVH_MANIFEST } from './operations.ts';
import { ownBytes, PAGE_BYTES, Physmap, type PvhDomain } from './physmap.ts';
import { pvhGuest } from './pvh-guest.ts';
import { latchWordSize } from './word-size.ts';

/** Guests may move to another host, so a TSC that never changes its rate is not promised (xl.cfg, tsc_mode and nomigrate). */
const FEATURES: FeatureChanges = { more: ['hypervisor'], less: ['constant_tsc'] };
const RAX = 0;
const CR0_PE = 1;
/** XEN_MSR_PAT of Xen 4.17, which guests of this kind begin with. */
const XEN_PAT = 0x0000_0501_0007_0406n;

export const xenPvh = defineInterface({
  id: 'xen-pvh',
  title: 'Xen 4.17, a guest in a hardware container (PVH)',
  versions: ['4.17'],
  guestNeeds: ['CONFIG_XEN', 'CONFIG_XEN_PVH'],
  machines: ['pvh'],
  ownBytes,
  takes: XEN_DEVICES,
  console: 'hvc0',
  policy: NO_EXITS,
  ops: XEN_PVH_MANIFEST,
  guest: xenPvhGuest,
  omits: XEN_OMITS,
  calls: callFacts(PVH_CALL_LIST, ['hvm']),
  attach(platform) {
    const domain = makeDomain(platform);
    const hardware = hardwareBorder(platform, FEATURES);
    return {
      border: border(domain, hardware),
      waiting: () => domain.vcpus[0]!.state.blocked,
      start: (guest) => start(platform, guest),
      // hvm_hlt and hvm_triple_fault of Xen (arch/x86/hvm/hvm.c).
      dead: () => endDomain(domain, SHUTDOWN_poweroff, 'all vCPUs are down'),
      tripleFault: (why) => endDomain(domain, SHUTDOWN_reboot, why),
      noticed: () => domain.state.called,
    };
  },
});

/** What the toolstack does before the guest runs: shared pages, rings, ports, the store. */
function makeDomain(platform: Platform): PvhDomain {
  const physmap = new Physmap(platform);
  physmap.state.memoryMap = e820(guestMemoryMap(platform));
  const made = createDomain({
    platform,
    guest: pvhGuest(platform, physmap, () => resume(domain, toolstack)),
    vcpus: 1,
    singleshot: (vcpu) => timerFired(domain, vcpu),
    periodic: (vcpu) => periodFired(domain, vcpu),
    pollEnd: (vcpu) => wakeUp(domain, vcpu),
    watchdog: watchdogFired,
  });
  const domain: PvhDomain = { ...made, physmap };
  const { state, vcpus } = domain;
  for (const vcpu of vcpus) Object.assign(vcpu.state, { up: true, initialised: true });
  placeSharedInfo(domain, physmap.hostFrame());
  state.params = Array.from({ length: abi.HVM_NR_PARAMS }, () => ({ lo: 0, hi: 0 }));
  const param = (index: number) => state.params[index]!;
  param(abi.HVM_PARAM_STORE_PFN).lo = physmap.hostFrame() / PAGE_BYTES;
  param(abi.HVM_PARAM_CONSOLE_PFN).lo = physmap.hostFrame() / PAGE_BYTES;
  const toolstack = createToolstack(domain);
  openRings(domain, toolstack);
  return domain;
}

/** The rings stay where they were; their ports are new. */
function openRings(domain: PvhDomain, toolstack: Toolstack): void {
  const param = (index: number) => domain.state.params[index]!;
  const page = (index: number) => param(index).lo * PAGE_BYTES;
  const { storePort, consolePort } = toolstack.begin({
    store: page(abi.HVM_PARAM_STORE_PFN),
    console: page(abi.HVM_PARAM_CONSOLE_PFN),
  });
  param(abi.HVM_PARAM_STORE_EVTCHN).lo = storePort;
  param(abi.HVM_PARAM_CONSOLE_EVTCHN).lo = consolePort;
}

/** The guest puts shared_info and grant table into its memory again, and says again how it wants to hear of events. */
function resume(domain: PvhDomain, toolstack: Toolstack): number {
  const { state, guest, platform } = domain;
  const before = state.sharedInfo;
  forgetDomain(domain, toolstack);
  placeSharedInfo(domain, guest.hostFrame());
  guest.reclaim(before);
  Object.assign(state.params[abi.HVM_PARAM_CALLBACK_IRQ]!, { lo: 0, hi: 0 });
  state.callbackVector = -1;
  platform.interrupt.set(false);
  openRings(domain, toolstack);
  return 0;
}

function border(
  domain: PvhDomain,
  hardware: ReturnType<typeof hardwareBorder>,
): Attached['border'] {
  const { platform } = domain;
  const { state } = platform.cpu;
  const vcpu = domain.vcpus[0]!;
  const isWide = () => state.word(FIELDS.codeMode) === 64;
  const giveHeldUpcall = () => {
    if (vcpu.state.upcallHeld) domain.guest.upcall(vcpu);
  };
  return {
    cpuid(leaf, subleaf, out) {
      const own = xenLeaf(domain, leaf >>> 0, subleaf >>> 0);
      if (own) out.set(own);
      else hardware.cpuid(leaf, subleaf, out);
    },
    rdmsr(index, out) {
      if (index >>> 0 !== abi.XEN_HYPERCALL_MSR) return hardware.rdmsr(index, out);
      out.fill(0);
      return true;
    },
    mmioWrite(gpa, bytes, lo, hi) {
      platform.devices.mmioWrite(gpa, bytes, lo, hi);
      giveHeldUpcall();
    },
    wrmsr(index, lo, hi) {
      if (index >>> 0 !== abi.XEN_HYPERCALL_MSR) {
        const done = hardware.wrmsr(index, lo, hi);
        giveHeldUpcall();
        return done;
      }
      // The low bits are the number of the page, and there is one.
      if ((lo & 0xfff) !== 0 || hi !== 0) return false;
      const address = domain.guest.frameAddress(lo >>> 12);
      if (address < 0 || !writeHypercallPage(platform.ram, address)) return false;
      latchWordSize(domain, isWide());
      return true;
    },
    hypercall() {
      const real = (state.word(FIELDS.cr0) & CR0_PE) === 0;
      if (state.word(FIELDS.cpl) !== 0 || real)
        state.setGpr(RAX, BigInt.asUintN(isWide() ? 64 : 32, BigInt(-EPERM)));
      else hypercall(domain, vcpu, PVH_CALLS, 'hvm', isWide());
      return true;
    },
    /** The callback vector comes before the local APIC's, and as long as the bit is set. */
    acknowledgeInterrupt() {
      const vector = vcpu.state.upcallVector === 0 ? domain.state.callbackVector : -1;
      if (vector >= 0 && upcallPending(domain, vcpu)) return vector;
      platform.interrupt.set(false);
      return platform.devices.acknowledgeInterrupt();
    },
  };
}

function start(platform: Platform, guest: Guest): void {
  const entry = pvhEntry(guest.kernel.elf());
  if (entry === null) {
    throw new InputError(
      'boot/no-pvh',
      `${guest.kernel.name} has no PVH entry (ELF note XEN_ELFNOTE_PHYS32_ENTRY)`,
      'this kernel lacks CONFIG_PVH.',
    );
  }
  startByPvh({ ...platform, memoryMap: guestMemoryMap(platform) }, guest, entry);
  platform.cpu.state.set64('pat', XEN_PAT);
}
